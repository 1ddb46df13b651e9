/** Protobuf's wire format written by hand, for messages that no encoder makes. */

/** A varint of the given value, or one of `bytes` bytes where that is longer than needed. */
export function varint(value: number | bigint, bytes = 1): Uint8Array {
  const out: number[] = [];
  for (let rest = BigInt.asUintN(64, BigInt(value)); rest > 0n || out.length < bytes; rest >>= 7n) {
    out.push(Number(rest & 0x7fn) | 0x80);
  }
  const last = out.pop() ?? 0;
  return Uint8Array.from([...out, last & 0x7f]);
}

/** A field of wire type 2 around the given bytes. */
export function field(number: number, ...content: (Uint8Array | string)[]): Uint8Array {
  const body = concat(...content);
  return concat(varint(number * 8 + 2), varint(body.length), body);
}

/** A field of wire type 0. */
export function number(field: number, value: number | bigint): Uint8Array {
  return concat(varint(field * 8), varint(value));
}

export function concat(...parts: (Uint8Array | string)[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts.map((part) => Buffer.from(part))));
}
