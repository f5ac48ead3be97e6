import { expect, test } from "bun:test";
import { Distribution, DistributionFamily } from "../../../src/base/distribution.ts";
import { MetricRegistry } from "../../../src/base/prometheus.ts";

test("a gauge and a counter have one line for each series, labels escaped", () => {
  const registry = new MetricRegistry();
  let value = 1;
  registry.gauge({ name: "a_bytes", help: "Two\nlines, a \\." }, () => [
    { value },
    { labels: { name: 'x"y\\z\n' }, value: 0.5 },
  ]);
  registry.counter({ name: "b_total", help: "B." }, () => []);
  value = 2;
  expect(registry.print()).toBe(
    [
      "# HELP a_bytes Two\\nlines, a \\\\.",
      "# TYPE a_bytes gauge",
      "a_bytes 2",
      'a_bytes{name="x\\"y\\\\z\\n"} 0.5',
      "# HELP b_total B.",
      "# TYPE b_total counter",
      "",
    ].join("\n"),
  );
});

test("a histogram's buckets hold all that is not above them, and the last holds everything", () => {
  const times = new Distribution([0.1, 1]);
  for (const seconds of [0.05, 0.1, 0.5, 7]) times.observe(seconds);
  const registry = new MetricRegistry();
  registry.histogram({ name: "t_seconds", help: "T." }, times);
  expect(registry.print().split("\n").slice(2, -1)).toEqual([
    't_seconds_bucket{le="0.1"} 2',
    't_seconds_bucket{le="1"} 3',
    't_seconds_bucket{le="+Inf"} 4',
    "t_seconds_sum 7.65",
    "t_seconds_count 4",
  ]);
});

test("a family has a series for each labels, and counts those beyond its limit together", () => {
  const family = new DistributionFamily(["route", "status"], 2);
  family.observe(["/a", "200"], 1);
  family.observe(["/a", "200"], 1);
  family.observe(["/b", "200"], 1);
  family.observe(["/c", "404"], 1);
  family.observe(["/d", "404"], 1);
  const counts = family.series().map(({ values, distribution }) => ({
    values,
    count: distribution.cumulated().at(-1),
  }));
  expect(counts).toEqual([
    { values: ["/a", "200"], count: 2 },
    { values: ["/b", "200"], count: 1 },
    { values: ["other", "other"], count: 2 },
  ]);
});
