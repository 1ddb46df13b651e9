"""One epoch of a text classifier with torch + PEFT, as its users train it: dynamic padding by the collator, AdamW.

  python bench/peft_epoch.py --model DIR --data train.tsv --eval-data dev.tsv [--group-by-length] [--threads 2]

DIR holds config.json, model.safetensors and tokenizer.json of a BERT encoder; the tables have label and sentence,
without a header. Prints one JSON line: seconds of the training loop and of the whole program, and the accuracy.
"""
import argparse
import csv
import json
import random
import resource
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
    options = parser.parse_args()

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
