/** Options: bad values are refused by name, value and bound; good ones at the bounds compute finite numbers. */
import { bindAdapter } from "../../../passes/adapt.ts";
import { type Diagnostic, DiagnosticError } from "../../diagnostics/define.ts";
import { printValue } from "../../pass/options.ts";
import { type Check, ConformanceError, require } from "../check.ts";
import { evaluateExactly, randomBatch, resultOf, scalarOf } from "../fed-graph.ts";
import { badValues, edgeValues } from "../options.ts";
import { compileSubject, startOf } from "../subject.ts";

export const refusesBadValues: Check = {
  name: "refuses values out of bounds by name",
  per: "method",
  run: ({ method }) => {
    for (const { option, value, bound } of badValues(method)) {
      const what = `${option} = ${printValue(value)}`;
      const cause = refusal(() => bindAdapter(method.name, { [option]: value }), what);
      const { code, message, expected = "", got = "" } = cause;
      require(code === "E_BAD_OPTION", `${what} is refused with ${code}`);
      require(message.includes(`"${option}"`), `the message about ${what} does not name the option`);
      require(got.includes(printValue(value)), `the message about ${what} does not name the value: ${got}`);
      require(bound === undefined ||
        expected.includes(
          bound,
        ), `the message about ${what} does not name the bound ${bound}: expected ${expected}`);
      require(expected !== "" &&
        !/^Invalid input$/.test(expected), `the message about ${what} does not say what is expected`);
    }
    const unknown = refusal(() => bindAdapter(method.name, { no_such_option: 1 }), "no_such_option");
    require(unknown.code === "E_UNKNOWN_OPTION", `an unknown option is refused with ${unknown.code}`);
    return undefined;
  },
};

export const finiteAtBounds: Check = {
  name: "computes finite numbers at its bounds",
  per: "method",
  run: (subject) => {
    for (const { option, value } of edgeValues(subject.method)) {
      const what = `${option} = ${printValue(value)}, which its schema takes,`;
      try {
        const compiled = compileSubject(subject, { options: { [option]: value } });
        const { grad } = compiled.graphs;
        const feeds = { batch: randomBatch(grad, 4, 3), state: startOf(compiled, "grad") };
        const results = evaluateExactly(grad, feeds);
        const finite = resultOf(grad, results, "grad").numbers.every(Number.isFinite);
        require(finite &&
          Number.isFinite(
            scalarOf(resultOf(grad, results, "loss")),
          ), `${what} gives numbers that are not finite`);
      } catch (error) {
        if (error instanceof DiagnosticError) continue;
        if (error instanceof ConformanceError) throw error;
        const reason = error instanceof Error ? error.message : String(error);
        throw new ConformanceError(`${what} ends in an error that is no diagnostic: ${reason}`);
      }
    }
    return undefined;
  },
};

function refusal(act: () => unknown, what: string): Diagnostic {
  try {
    act();
  } catch (error) {
    if (error instanceof DiagnosticError) return error.diagnostics[0];
    throw new ConformanceError(`${what} ends in an error that is no diagnostic: ${String(error)}`);
  }
  throw new ConformanceError(`${what} is accepted`);
}
