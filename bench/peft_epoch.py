"""One epoch of a text classifier with torch + PEFT, as its users train it: dynamic padding by the collator, AdamW.

  python bench/peft_epoch.py --model DIR --data train.tsv --eval-data dev.tsv [--group-by-length] [--threads 2]
      [--seeds 0,1,2 --peers ours,eager,eager-mkl --onnx classifier.onnx]

DIR holds config.json, model.safetensors and tokenizer.json of a BERT encoder; the tables have label and sentence,
without a header. Prints one JSON line: seconds of the training loop and of the whole program, and the accuracy.

With --seeds, each peer runs in turn for each seed, each time in a process of its own; then come means and spreads, and
ratios of times seed by seed. `eager-mkl` is torch whose matrix library was told to take its AVX-512 kernels, which it leaves
alone on processors of other makers than Intel (a C compiler is needed). `ours` compiles the model of --onnx, untimed, and is timed
as the whole process of `train`, start and saving included; the loop of torch is timed without its start.
"""
import argparse
import csv
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time

START = time.perf_counter()


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return [(int(label), text) for label, text in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


def order_of(lengths, batch, seed, grouped):
    """Shuffled, or sorted by length inside windows of 50 batches whose batches are shuffled again."""
    rng = random.Random(seed)
    rows = list(range(len(lengths)))
    rng.shuffle(rows)
    if grouped:
        size = 50 * batch
        windows = [sorted(rows[at:at + size], key=lengths.__getitem__) for at in range(0, len(rows), size)]
        rows = [row for window in windows for row in window]
    batches = [rows[at:at + batch] for at in range(0, len(rows) - batch + 1, batch)]
    if grouped:
        rng.shuffle(batches)
    return batches


# Two questions that MKL asks itself before it chooses kernels.
MKL_SHIM = "int mkl_serv_intel_cpu(void) { return 1; }\nint mkl_serv_intel_cpu_true(void) { return 1; }\n"


def mkl_environment(folder):
    source, library = os.path.join(folder, "shim.c"), os.path.join(folder, "shim.so")
    with open(source, "w", encoding="utf-8") as file:
        file.write(MKL_SHIM)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return dict(os.environ, LD_PRELOAD=library)


def last_json(command, **rest):
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, **rest)
    return json.loads(done.stdout[done.stdout.index("{"):])


def run_torch(options, seed, environment):
    command = [sys.executable, __file__, "--model", options.model, "--data", options.data, "--eval-data", options.eval_data]
    for name in ("batch", "lr", "rank", "threads", "dropout"):
        command += [f"--{name}", str(getattr(options, name))]
    return last_json(command + ["--seed", str(seed)] + ["--group-by-length"] * options.group_by_length, env=environment)


def run_ours(options, seed, folder):
    cli = ["node", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "dist", "src", "cli.js")]
    artifact = os.path.join(folder, f"seed-{seed}.peft")
    columns = ["--no-header", "--label-column", "0", "--text-column", "1", "--threads", str(options.threads)]
    last_json(cli + [
        "compile", options.onnx, "-o", artifact, "--task", "seq-cls", "--target", "query,value", "--r", str(options.rank),
        "--lora-alpha", str(2 * options.rank), "--optimizer", f"adamw{{lr={options.lr},weight_decay=0.01}}", "--seed", str(seed),
        "--json"], stderr=subprocess.DEVNULL)
    start = time.perf_counter()
    trained = last_json(cli + [
        "train", artifact, "--data", options.data, "--batch", str(options.batch), "--epochs", "1", "--seed", str(seed),
        "--json"] + columns)
    seconds = time.perf_counter() - start
    found = last_json(cli + ["evaluate", artifact, "--data", options.eval_data, "--json"] + columns)
    return dict(train_s=round(seconds, 2), steps=trained["steps"], accuracy=round(found["metrics"]["accuracy"], 4))


def compare(options):
    seeds, peers = [int(seed) for seed in options.seeds.split(",")], options.peers.split(",")
    runs = {peer: [] for peer in peers}
    with tempfile.TemporaryDirectory() as folder:
        environments = {"eager": None}
        if "eager-mkl" in peers:
            environments["eager-mkl"] = mkl_environment(folder)
        for seed in seeds:
            for peer in peers:
                run = run_ours(options, seed, folder) if peer == "ours" else run_torch(options, seed, environments[peer])
                runs[peer].append(run)
                print(json.dumps(dict(peer=peer, seed=seed, **run)), flush=True)
    for peer in peers:
        figures = {}
        for key in ("train_s", "accuracy"):
            values = [run[key] for run in runs[peer]]
            figures[key] = dict(mean=round(statistics.mean(values), 4), least=min(values), most=max(values))
        if peer != "ours" and "ours" in peers:
            ratios = [theirs["train_s"] / ours["train_s"] for theirs, ours in zip(runs[peer], runs["ours"], strict=True)]
            figures["time_by_ours"] = dict(
                median=round(statistics.median(ratios), 3), least=round(min(ratios), 3), most=round(max(ratios), 3))
        print(json.dumps(dict(peer=peer, seeds=len(seeds), **figures)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--eval-data", required=True)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--group-by-length", action="store_true")
    parser.add_argument("--dropout", type=float, default=0.0, help="of the base; an exported model has none")
    parser.add_argument("--seeds", help="several, separated by commas: compares the peers over them")
    parser.add_argument("--peers", default="eager,eager-mkl", help="of ours, eager, eager-mkl")
    parser.add_argument("--onnx", help="the classifier as ONNX, its tokenizer.json beside it, for ours")
    options = parser.parse_args()
    if options.seeds:
        compare(options)
        return

    import torch
    from peft import LoraConfig, get_peft_model
    from tokenizers import Tokenizer
    from transformers import BertConfig, BertForSequenceClassification

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    config = BertConfig.from_pretrained(
        options.model, num_labels=2, hidden_dropout_prob=options.dropout, attention_probs_dropout_prob=options.dropout)
    model = BertForSequenceClassification.from_pretrained(options.model, config=config)
    lora = LoraConfig(r=options.rank, lora_alpha=2 * options.rank, target_modules=["query", "value"], task_type="SEQ_CLS")
    model = get_peft_model(model, lora)
    tokenizer = Tokenizer.from_file(f"{options.model}/tokenizer.json")
    tokenizer.enable_truncation(config.max_position_embeddings)
    tokenizer.no_padding()

    def encoded(path):
        rows = rows_of(path)
        return [(encoding.ids, label) for encoding, (label, _) in
                zip(tokenizer.encode_batch([text for _, text in rows]), rows, strict=True)]

    def collate(rows):
        length = max(len(ids) for ids, _ in rows)
        ids = torch.tensor([row + [0] * (length - len(row)) for row, _ in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row, _ in rows])
        return dict(input_ids=ids, attention_mask=mask, labels=torch.tensor([label for _, label in rows]))

    start = time.perf_counter()
    train = encoded(options.data)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=options.lr, weight_decay=0.01)
    batches = order_of([len(ids) for ids, _ in train], options.batch, options.seed, options.group_by_length)
    model.train()
    for batch in batches:
        loss = model(**collate([train[row] for row in batch])).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    seconds = time.perf_counter() - start

    model.eval()
    right, dev = 0, encoded(options.eval_data)
    with torch.no_grad():
        for at in range(0, len(dev), 64):
            batch = collate(dev[at:at + 64])
            right += int((model(**batch).logits.argmax(-1) == batch["labels"]).sum())
    print(json.dumps(dict(
        train_s=round(seconds, 2), total_s=round(time.perf_counter() - START, 2), steps=len(batches),
        accuracy=round(right / len(dev), 4), peak_rss_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        threads=options.threads, grouped=options.group_by_length)))


if __name__ == "__main__":
    main()
