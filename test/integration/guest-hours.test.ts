// Hours of a guest's polls, in virtual time.
import { expect, test } from "bun:test";
import { GuestFormation } from "../support/guest-formation.ts";

const HOUR_S = 3600;

test("a guest's breaker stays closed for hours, at rest and while documents change", async () => {
  await using world = new GuestFormation();
  const guest = await world.guest("old-1");
  const node = await world.node("new-1");
  for (let n = 0; n < 3; n += 1) {
    await node.put(`notes:${n}`, { n });
    guest.write(`alerts:${n}`, { n });
  }
  await node.put("tracks:1", { n: 1 });
  for (let hour = 0; hour < 4; hour += 1) {
    await world.seconds(HOUR_S);
    await node.put("notes:1", { hour });
    guest.write("alerts:1", { hour });
  }
  await world.until("the last change", () => node.read("alerts:1") === '{"hour":3}');
  expect(guest.breakerOf(node.id)).toBe("closed");
  // Hardly any announcement is in vain: five in a row would be the end.
  expect(guest.counters.initiatesFailed).toBeLessThan(guest.counters.initiates / 1000);
  expect(guest.counters.linksAccepted).toBe(1);
  expect(world.bugs).toEqual([]);
}, 120_000);
