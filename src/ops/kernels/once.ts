/** Builds a value when it is first asked for, so that the gradients of several operands share its nodes. */
export function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
