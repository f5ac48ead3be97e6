// Who is counted as one where strangers are counted.
import { expect, test } from "bun:test";
import { sourceOf } from "../../../src/net/source.ts";

test.each([
  ["192.0.2.1:11204", "192.0.2.1"],
  ["[2001:db8:0:1:aaaa::1]:5", "2001:db8:0:1::/64"],
  ["[2001:DB8:0:1::2]:6", "2001:db8:0:1::/64"],
  ["[2001:db8::2]:6", "2001:db8:0:0::/64"],
  ["[fe80::1%eth0]:6", "fe80:0:0:0::/64"],
  ["[::1]:6", "0:0:0:0::/64"],
  ["[64:ff9b::192.0.2.1]:6", "64:ff9b:0:0::/64"],
  ["[::ffff:192.0.2.1]:6", "192.0.2.1"],
  ["3b6a27bcceb6a42d", "3b6a27bcceb6a42d"],
])("%s is counted as %s", (address, source) => {
  expect(sourceOf(address)).toBe(source);
});
