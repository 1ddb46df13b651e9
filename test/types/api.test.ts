/** Types of the public API: what a program may write, and what the compiler must refuse. */
import { describe, expectTypeOf, it } from "vitest";
import type { z } from "zod";
import type { CamelCase } from "../../src/compile/factories.ts";
import { defineAdapter, definePass, runPipeline } from "../../src/extend.ts";
import {
  type Artifact,
  adamw,
  type CompileRequest,
  causalLM,
  compile,
  crossEntropy,
  type Diagnostic,
  DiagnosticError,
  defineConfig,
  gradient,
  lora,
  type Model,
  readModel,
  sgd,
  writeModel,
} from "../../src/index.ts";

describe("method factories", () => {
  it("take PEFT's options in camel case", () => {
    expectTypeOf(lora).parameter(0).toExtend<{ readonly r?: number | undefined } | undefined>();
    expectTypeOf(lora).toBeCallableWith();
    expectTypeOf(lora).toBeCallableWith({});
    expectTypeOf(lora).toBeCallableWith({ r: 8, loraAlpha: 16, useRslora: true, loraDropout: 0.1 });
    expectTypeOf(lora).toBeCallableWith({ targetModules: ["q_proj"], initLoraWeights: "gaussian" });
    expectTypeOf(lora).toBeCallableWith({ targetModules: "all-linear", rankPattern: { q_proj: 4 } });
    const names = ["q_proj", "v_proj"] as const;
    expectTypeOf(lora).toBeCallableWith({ targetModules: names });
  });

  it("refuse what the schema does not have", () => {
    // @ts-expect-error the API spells it loraAlpha
    lora({ lora_alpha: 16 });
    // @ts-expect-error a rank is a number
    lora({ r: "8" });
    // @ts-expect-error no such initialisation
    lora({ initLoraWeights: "ones" });
    // @ts-expect-error sgd has no second moment
    sgd({ beta2: 0.9 });
  });

  it("spell names as TypeScript does", () => {
    expectTypeOf<CamelCase<"init_lora_weights">>().toEqualTypeOf<"initLoraWeights">();
    expectTypeOf<CamelCase<"r">>().toEqualTypeOf<"r">();
    expectTypeOf<CamelCase<"beta_1">>().toEqualTypeOf<"beta1">();
  });

  it("say a part of a request", () => {
    expectTypeOf(lora()).toExtend<NonNullable<CompileRequest["method"]>>();
    expectTypeOf(adamw({ lr: 1e-3 })).toExtend<NonNullable<CompileRequest["optimizer"]>>();
    expectTypeOf(crossEntropy({ labelSmoothing: 0.1, logits: "scores" })).toExtend<
      NonNullable<CompileRequest["loss"]>
    >();
    expectTypeOf(causalLM()).toEqualTypeOf<"causal-lm">();
  });
});

describe("the functions", () => {
  it("have the types of the documentation", () => {
    expectTypeOf(readModel).returns.toEqualTypeOf<Model>();
    expectTypeOf(writeModel).returns.toEqualTypeOf<Promise<void>>();
    expectTypeOf(compile).returns.toEqualTypeOf<Artifact>();
    expectTypeOf(compile).parameter(1).toEqualTypeOf<CompileRequest | undefined>();
    expectTypeOf(gradient).returns.toEqualTypeOf<Model>();
    expectTypeOf<Awaited<ReturnType<Artifact["write"]>>["format"]>().toEqualTypeOf<"peft-compile/1">();
    expectTypeOf(
      new DiagnosticError([{ code: "E_X", message: "x" }]).diagnostics[0],
    ).toEqualTypeOf<Diagnostic>();
  });

  it("check requests", () => {
    defineConfig({ method: lora({ r: 4 }), task: causalLM(), optimizer: adamw(), precision: "bf16" });
    // @ts-expect-error no such task
    defineConfig({ task: "causal" });
    // @ts-expect-error no such precision
    defineConfig({ precision: "int8" });
  });
});

describe("extending", () => {
  it("types options and statistics of passes", () => {
    expectTypeOf(definePass).toBeFunction();
    expectTypeOf(runPipeline).parameter(0).toEqualTypeOf<Model>();
    expectTypeOf(defineAdapter<z.ZodObject, "A">).returns.toHaveProperty("bind");
  });
});
