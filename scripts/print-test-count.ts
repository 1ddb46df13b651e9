/** Prints the closing line of a test run, `N passed, N failed`, from the JSON report that Vitest wrote. */
import { readFileSync } from "node:fs";
import { z } from "zod";

const report = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number(),
  testResults: z.array(
    z.object({ status: z.string(), assertionResults: z.array(z.object({ status: z.string() })) }),
  ),
});

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error("usage: print-test-count.ts REPORT.json");
const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = report.parse(
  JSON.parse(readFileSync(path, "utf8")),
);

// A file that cannot be loaded, or whose hooks fail, holds no failed test, yet must not pass as zero failures.
const failedFiles = testResults.filter(
  ({ status, assertionResults }) =>
    status === "failed" && !assertionResults.some((test) => test.status === "failed"),
).length;
const skipped = numPendingTests + numTodoTests;

const counts = [`${numPassedTests} passed`, `${numFailedTests + failedFiles} failed`];
if (skipped > 0) counts.push(`${skipped} skipped`);
console.log(counts.join(", "));
if (numFailedTests + failedFiles > 0) process.exitCode = 1;
