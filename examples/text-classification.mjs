// Text classification by API: a classifier as ONNX and tables with labels in, accuracy and a merged model out.
//
//   node examples/text-classification.mjs MODEL.onnx TRAIN.tsv DEV.tsv [MERGED.onnx]
//
// The tokenizer.json lies beside the model. The tables have no header: label, then text. The artifact is written beside
// the merged model, into MERGED.onnx.peft.
import { adamw, compile, evaluate, lora, merge, readModel, seqCls, train } from "peft-compile";

const [model, trainFile, devFile, output = "merged.onnx"] = process.argv.slice(2);
if (devFile === undefined) {
  throw new Error("usage: text-classification.mjs MODEL.onnx TRAIN.tsv DEV.tsv [MERGED.onnx]");
}

const artifact = compile(readModel(model), {
  method: lora({ r: 8, loraAlpha: 16, targetModules: ["query", "value"] }),
  task: seqCls(),
  optimizer: adamw({ lr: 1e-3 }),
  schedule: { kind: "linear", warmup: 40 },
  clip: 1,
});
for (const remark of artifact.remarks) console.log(remark);
console.log(`adapts ${artifact.sites.length} modules`);
const folder = `${output}.peft`;
await artifact.write(folder, { force: true });

const columns = { header: false, labelColumn: "0", textColumn: "1" };
const dev = { data: [devFile], ...columns };
console.log("before", (await evaluate(folder, dev)).metrics);

await train(folder, {
  data: [trainFile],
  ...columns,
  batch: 16,
  epochs: 1,
  onStep: ({ step, loss }, { totalSteps }) => {
    if (step % 50 === 0 || step === totalSteps) console.log(`${step}/${totalSteps} loss ${loss.toFixed(4)}`);
  },
});
console.log("after", (await evaluate(folder, dev)).metrics);

await merge(folder, output);
console.log(`merged into ${output}`);
