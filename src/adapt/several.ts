/** Several adapters in one model as one method: together, each on what the one before yields, or one for each row of a batch. */
import type { AnySite, Site } from "../analysis/sites.ts";
import { adaptErrors } from "../diagnostics/adapt.ts";
import { InternalError } from "../diagnostics/define.ts";
import { type Dim, dimsEqual, floorDivDims, mulDims } from "../ir/dim.ts";
import type { Value } from "../ir/value.ts";
import type { OpBuilder } from "../ops/builder.ts";
import type { BoundAdapter, BuildContext, ParameterSpec } from "./define.ts";
import { filled } from "./initializers.ts";
import type { AnyRouting, Expert } from "./routing.ts";
import { ownerPath } from "./select.ts";

/** An adapter that has a name in the model, and its places there. */
export interface Member {
  readonly name: string;
  readonly adapter: BoundAdapter;
  readonly sites: readonly Site[];
  /** Modules that it brings whole. */
  readonly saved: readonly Site[];
}

/** How members act: all at once, or the one that a field names for each row; `rows` is the axis of rows. */
export type Choice =
  | { readonly kind: "together" }
  | { readonly kind: "rows"; readonly rows: Dim }
  | ({ readonly kind: "tokens" } & TokenChoice);

/** How each token chooses. */
export interface TokenChoice {
  readonly routing: AnyRouting;
  readonly options: Readonly<Record<string, unknown>>;
  /** Names of members that stand for what all have in common. */
  readonly general: readonly string[];
}

/** Field of a batch that chooses the adapter of each row, as PEFT's argument of that name does. */
export const adapterField = "adapter_names";

/** What PEFT calls no adapter at all, the first of the choices. */
export const baseName = "__base__";

type Context = Omit<BuildContext<unknown, string>, "options">;

/** Key of a member's tensor in a model of several. */
export function memberKey(key: string, member: string): string {
  return `${key}.${member}`;
}

/** The members as one method, for `attachAdapter` and the sites of all of them. */
export function severalAdapters(members: readonly Member[], choice: Choice): BoundAdapter {
  return {
    name: "several",
    peftType: "",
    options: {},
    peftConfig: {},
    absentInPeft: [],
    notesConv1d: false,
    sites: [],
    identityAtStart: false,
    tied: "none",
    detaches: undefined,
    mixesRows: undefined,
    unportable: {},
    companions: [],
    hook: undefined,
    stacks: false,
    structure: undefined,
    dataStart: () => undefined,
    trainsWhole: () => false,
    accepts: () => true,
    shared: () => joined(members, (member) => member.adapter.shared(member.sites)),
    parameters: (site) => {
      const own = joined(members, (member) => tensorsOf(member, site));
      if (choice.kind !== "tokens" || !isModule(site)) return own;
      return { ...own, ...choice.routing.parameters(site, expertsOf(members, choice)) };
    },
    checkpoint: () => ({}),
    restore: (tensors) => tensors,
    toPeft: (tensors) => ({ options: {}, tensors }),
    penalty: () => undefined,
    build: (context) => {
      if (choice.kind === "together") return buildTogether(members, context);
      if (choice.kind === "rows") return buildRows(members, context, choice.rows);
      const experts = expertsOf(members, choice);
      return choice.routing.build({ ...context, experts, routing: choice.options });
    },
    merge: () => "adapters are chosen by row",
    unmerge: () => "adapters are chosen by row",
  };
}

/** The members as experts, in their order. */
export function expertsOf(members: readonly Member[], { general }: TokenChoice): Expert<unknown>[] {
  return members.map(({ name, adapter }, i) => ({
    options: adapter.options,
    general: general.includes(name),
    nameOf: (tensor) => `${i}:${tensor}`,
  }));
}

const isModule = (site: AnySite): site is Site => site.kind !== "prompt" && site.kind !== "attention";

const isIn = (sites: readonly Site[], site: AnySite): boolean =>
  sites.some((each) => each.path === site.path);

function tensorsOf(
  { adapter, sites, saved }: Member,
  site: AnySite,
): Readonly<Record<string, ParameterSpec>> {
  if (isIn(sites, site)) return adapter.parameters(site, sites);
  const whole = saved.find((each) => each.path === site.path);
  return whole === undefined ? {} : wholeModule(whole);
}

/** Weight and bias of a module, in PyTorch's layout. */
function wholeModule(site: Site): Record<string, ParameterSpec> {
  const weight: ParameterSpec = { key: "weight", shape: weightShape(site), init: filled(0) };
  if (site.bias === undefined) return { weight };
  const size =
    site.kind === "linear" ? site.outFeatures : site.kind === "conv" ? site.outChannels : weight.shape[0];
  return { weight, bias: { key: "bias", shape: [size ?? 0], init: filled(0) } };
}

function weightShape(site: Site): readonly number[] {
  switch (site.kind) {
    case "linear":
      return site.conv1d ? [site.inFeatures, site.outFeatures] : [site.outFeatures, site.inFeatures];
    case "conv":
      return [site.outChannels, site.inChannels / site.groups, ...site.kernel];
    case "embedding":
      return [site.rows, site.width];
    case "norm":
      return [site.features];
  }
}

/** Tensors of all members under names and keys that tell these apart. */
function joined(
  members: readonly Member[],
  specsOf: (member: Member) => Readonly<Record<string, ParameterSpec>>,
): Record<string, ParameterSpec> {
  return Object.fromEntries(
    members.flatMap((member, i) =>
      Object.entries(specsOf(member)).map(([name, spec]) => [
        `${i}:${name}`,
        { ...spec, key: memberKey(spec.key, member.name), init: startOf(spec.init, i) },
      ]),
    ),
  );
}

function startOf(init: ParameterSpec["init"], member: number): ParameterSpec["init"] {
  if (typeof init === "function" || !("from" in init)) return init;
  return { from: (start) => init.from((name) => start(`${member}:${name}`)) };
}

function ownParams(context: Context, member: number): Record<string, Value> {
  const prefix = `${member}:`;
  return Object.fromEntries(
    Object.entries(context.params)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, value]) => [name.slice(prefix.length), value]),
  );
}

/** What the module yields with one member; undefined where the member leaves it alone. */
function buildMember(
  { adapter, sites, saved }: Member,
  context: Context,
  params: Record<string, Value>,
): Value | undefined {
  const { site, x, b } = context;
  if (isIn(sites, site)) return adapter.build({ ...context, params });
  if (!isIn(saved, site)) return undefined;
  const { weight: stored, bias } = params;
  if (stored === undefined) throw new InternalError(`"${site.path}" was to be replaced, and has no weight`);
  const weight = site.kind === "linear" && site.conv1d ? b.transpose(stored, [1, 0]) : stored;
  return context.base(x, bias === undefined ? { weight } : { weight, bias });
}

/** Each member takes the module with those before it for its base. */
function buildTogether(members: readonly Member[], context: Context): Value {
  const upTo = (count: number, x: Value): Value => {
    if (count === 0) return x === context.x ? context.y : context.base(x);
    const member = members[count - 1];
    if (member === undefined) throw new InternalError("there are fewer adapters than that");
    if (!isIn([...member.sites, ...member.saved], context.site)) return upTo(count - 1, x);
    const own: Context = {
      ...context,
      x,
      y: upTo(count - 1, x),
      base: (input, weights = {}) =>
        weights.weight === undefined && weights.bias === undefined
          ? upTo(count - 1, input)
          : context.base(input, weights),
    };
    return buildMember(member, own, ownParams(context, count - 1)) ?? own.y;
  };
  return upTo(members.length, context.x);
}

/** Every member on every row, of which the field takes one. */
function buildRows(members: readonly Member[], context: Context, rows: Dim): Value {
  const { b, y, field } = context;
  const chosen = field({ name: adapterField, dtype: "int64", shape: [rows], below: members.length + 1 });
  return members.reduce((result, member, i) => {
    const own = buildMember(member, context, ownParams(context, i));
    if (own === undefined) return result;
    return b.where(
      rowMask(b, b.equal(chosen, i + 1), y, { rows, path: ownerPath(context.site) }),
      own,
      result,
    );
  }, y);
}

/** A mask of rows in the shape of a value whose first axis is that of rows, or holds them one behind the other. */
function rowMask(b: OpBuilder, mask: Value, y: Value, { rows, path }: { rows: Dim; path: string }): Value {
  const shape = y.tensorType?.shape;
  const [first] = shape ?? [];
  if (shape === undefined || first === undefined) throw adaptErrors.E_ROWS_UNKNOWN(path, "no known shape");
  const tail = shape.slice(1).map(() => 1);
  // What does not depend on the rows, such as embeddings of positions, does from here on.
  if (first === 1 || dimsEqual(first, rows)) return b.reshape(mask, [-1, ...tail]);
  const parts = floorDivDims(first, rows);
  if (!dimsEqual(mulDims(parts, rows), first))
    throw adaptErrors.E_ROWS_UNKNOWN(path, `${String(first)} along its first axis`);
  const each = b.concat(
    [b.shape(mask), b.div(b.slice(b.shape(y), { starts: [0], ends: [1], axes: [0] }), b.shape(mask))],
    0,
  );
  return b.reshape(b.expand(b.reshape(mask, [-1, 1]), each), [-1, ...tail]);
}
