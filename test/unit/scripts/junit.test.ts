import { expect, test } from "bun:test";
import { parseJunit, skipReason } from "../../../scripts/support/junit.ts";

const REPORT = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="5" failures="2" skipped="1" time="0.02">
  <testsuite name="test/a.test.ts" file="test/a.test.ts" tests="4">
    <testsuite name="outer" file="test/a.test.ts" line="2">
      <testcase name="ok &lt;x&gt; &amp; &quot;y&quot; &#39;z&#39;" classname="outer" file="test/a.test.ts" line="2" />
      <testcase name="waits (needs tcpdump)" classname="outer" file="test/a.test.ts">
        <skipped />
      </testcase>
      <testcase name="later" classname="outer" file="test/a.test.ts">
        <skipped message="TO DO" />
      </testcase>
    </testsuite>
    <testcase name="bad" classname="" file="test/a.test.ts">
      <failure type="AssertionError" message="a &lt;skipped /&gt; b">text</failure>
    </testcase>
  </testsuite>
  <testsuite name="test/c.test.ts">
    <testcase name="(unnamed)" classname="" file="test/c.test.ts"><error message="boom" /></testcase>
  </testsuite>
</testsuites>`;

test("every case of a report has its file, full name and result", () => {
  expect(parseJunit(REPORT)).toEqual([
    { file: "test/a.test.ts", name: `outer > ok <x> & "y" 'z'`, result: "passed" },
    { file: "test/a.test.ts", name: "outer > waits (needs tcpdump)", result: "skipped" },
    { file: "test/a.test.ts", name: "outer > later", result: "skipped" },
    { file: "test/a.test.ts", name: "bad", result: "failed" },
    { file: "test/c.test.ts", name: "(unnamed)", result: "failed" },
  ]);
});

test("no report holds no tests", () => {
  expect(parseJunit("")).toEqual([]);
});

test("the reason of a skipped test is what its name says that it needs", () => {
  expect(skipReason("boots (Debian) (needs systemd-nspawn)")).toBe("needs systemd-nspawn");
  expect(skipReason("resolves [skipped: needs avahi]")).toBe("needs avahi");
  expect(skipReason("TLS (needs openssl) > refuses")).toBe("needs openssl");
  expect(skipReason("something (else)")).toBe("no reason given");
});
