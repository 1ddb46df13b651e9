// Text classification by API: a classifier as ONNX, a table with text and labels, accuracy, and a merged model.
//
//   node examples/text-classification.mjs classifier.onnx train.tsv dev.tsv merged.onnx
//
// The tokenizer.json lies beside the model. The tables have no header: label, then text.
import { adamw, compile, lora, merge, readModel, seqCls, train } from "peft-compile";

const [model, trainFile, devFile, output = "merged.onnx"] = process.argv.slice(2);
if (devFile === undefined)
  throw new Error("usage: text-classification.mjs MODEL.onnx TRAIN.tsv DEV.tsv [MERGED.onnx]");

const artifact = compile(readModel(model), {
  method: lora({ r: 8, loraAlpha: 16, targetModules: ["query", "value"] }),
  task: seqCls(),
  optimizer: adamw({ lr: 1e-3 }),
  schedule: { kind: "linear", warmup: 40 },
  clip: 1,
});
const folder = `${output}.peft`;
await artifact.write(folder, { force: true });

const { metrics } = await train(folder, {
  data: [trainFile],
  evalData: [devFile],
  header: false,
  labelColumn: "0",
  textColumn: "1",
  batch: 16,
  epochs: 1,
  onStep: ({ step, loss }, { totalSteps }) => {
    if (step % 50 === 0) console.log(`${step}/${totalSteps} loss ${loss.toFixed(4)}`);
  },
});
console.log(metrics);
await merge(folder, output);
console.log(`merged into ${output}`);
