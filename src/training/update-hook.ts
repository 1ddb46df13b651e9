/** What a method does around the optimizer's update of its tensors: schedules, projections, and the state that they need. */
import { InternalError } from "../diagnostics/define.ts";
import type { Value } from "../ir/value.ts";
import type { OpBuilder } from "../ops/builder.ts";
import { FlatLayout, FlatPart, placed } from "./flat-layout.ts";
import type { FlatSlice } from "./flatten.ts";

/** Tensors of each module by the method's own names for them. */
export type ByModule<K extends string> = readonly Readonly<Record<K, Value>>[];

/** Flat vectors of a method's trained tensors, and their parts. */
export interface HookViews<K extends string> {
  readonly b: OpBuilder;
  /** Tensors of each module that has them, modules in the order in which they were adapted. */
  readonly split: <N extends K>(flat: Value, names: readonly N[]) => ByModule<N>;
  /** The reverse. */
  readonly join: <N extends K>(modules: ByModule<N>, names: readonly N[]) => Value;
}

export interface HookContext<O, K extends string, S extends string> extends HookViews<K> {
  readonly options: O;
  /** The method's tensors after the optimizer's update, flat, in the order of `names`. */
  readonly param: Value;
  /** The same before the update. */
  readonly previous: () => Value;
  /** Their gradients as the optimizer was given them: unscaled and clipped. */
  readonly grad: Value;
  /** State before the update, flat, of the tensors that it accompanies. */
  readonly state: Readonly<Record<S, Value>>;
  /** Number of this update, from 1, int64 scalar. Skipped updates do not count. */
  readonly step: Value;
}

/** Tensors are `K`, states `S`. All of it is part of the graph of the update, and is skipped with an update that is skipped. */
export interface UpdateHook<O, K extends string, S extends string = never> {
  /** Trained tensors of a module that it works with; modules that lack one are left alone. */
  readonly names: readonly K[];
  /** State, zero at the start, by name: the tensors that it accompanies, each element one of theirs. */
  readonly state: Readonly<Record<S, readonly K[]>>;
  /** Tensors that the update starts from, where they are not those that it is given; what is built has to read the same. */
  readonly before?: (context: HookViews<K> & { readonly options: O; readonly param: Value }) => Value;
  /** Gradients that count, where not all that there are do: 0 for tensors that are not trained any more. Scaled as the loss is. */
  readonly gradient?: (
    context: HookViews<K> & {
      readonly options: O;
      readonly grad: Value;
      readonly state: Readonly<Record<S, Value>>;
    },
  ) => Value;
  readonly after?: (context: HookContext<O, K, S>) => {
    readonly param: Value;
    readonly state: Readonly<Record<S, Value>>;
  };
}

/** A hook with its options bound and its names erased. */
export interface BoundHook {
  /** Name of the method whose tensors it takes. */
  readonly method: string;
  readonly names: readonly string[];
  readonly state: Readonly<Record<string, readonly string[]>>;
  before(context: HookViews<string> & { readonly param: Value }): Value;
  gradient(
    context: HookViews<string> & { readonly grad: Value; readonly state: Readonly<Record<string, Value>> },
  ): Value;
  after(context: Omit<HookContext<unknown, string, string>, "options">): {
    readonly param: Value;
    readonly state: Readonly<Record<string, Value>>;
  };
}

/** Binds a hook to options. */
export function bindHook<O, K extends string, S extends string>(
  method: string,
  { names, state, before, gradient, after }: UpdateHook<O, K, S>,
  options: O,
): BoundHook {
  return {
    method,
    names,
    state,
    before: (context) => before?.({ ...context, options }) ?? context.param,
    gradient: (context) => gradient?.({ ...context, options }) ?? context.grad,
    after: (context) => after?.({ ...context, options }) ?? { param: context.param, state: context.state },
  };
}

/** A hook at the tensors of a flat vector that are its own. */
export class HookAt {
  private readonly hook: BoundHook;
  /** For each module, its tensors in the order of the names. */
  private readonly part: FlatPart;

  constructor(hook: BoundHook, slices: readonly FlatSlice[]) {
    this.hook = hook;
    const own = slices.filter(({ method }) => method === hook.method);
    const modules = [...new Set(own.map(({ module }) => module))];
    const places = modules.flatMap((module) => {
      const found = hook.names.map((name) =>
        slices.findIndex((each) => own.includes(each) && each.module === module && each.name === name),
      );
      return found.includes(-1) ? [] : found;
    });
    this.part = new FlatPart(new FlatLayout(slices), places);
  }

  /** Layout of the state of a name. */
  slicesOf(state: string): FlatSlice[] {
    return placed(this.layoutOf(this.hook.state[state] ?? []).slices);
  }

  before(b: OpBuilder, flat: Value): Value {
    if (this.isEmpty) return flat;
    const param = this.part.take(b, flat);
    const changed = this.hook.before({ ...this.views(b), param });
    return changed === param ? flat : this.part.put(b, flat, changed);
  }

  gradient(b: OpBuilder, flat: Value, state: Readonly<Record<string, Value>>): Value {
    if (this.isEmpty) return flat;
    const grad = this.part.take(b, flat);
    const changed = this.hook.gradient({ ...this.views(b), grad, state });
    return changed === grad ? flat : this.part.put(b, flat, changed);
  }

  after(
    b: OpBuilder,
    {
      param,
      previous,
      grad,
      state,
      step,
    }: Pick<HookContext<unknown, string, string>, "param" | "grad" | "state" | "step"> & {
      readonly previous: Value;
    },
  ): { readonly param: Value; readonly state: Readonly<Record<string, Value>> } {
    if (this.isEmpty) return { param, state };
    const given = {
      param: this.part.take(b, param),
      previous: () => this.part.take(b, previous),
      grad: this.part.take(b, grad),
      state,
      step,
    };
    const after = this.hook.after({ ...this.views(b), ...given });
    return {
      param: after.param === given.param ? param : this.part.put(b, param, after.param),
      state: after.state,
    };
  }

  private get isEmpty(): boolean {
    return this.part.layout.slices.length === 0;
  }

  private views(b: OpBuilder): HookViews<string> {
    return {
      b,
      split: (flat, names) => {
        const tensors = this.layoutOf(names).split(b, flat);
        const count = names.length;
        return Array.from({ length: tensors.length / count }, (_, at) =>
          named(this.inOrder(names), tensors.slice(at * count, (at + 1) * count)),
        );
      },
      join: (modules, names) => {
        const order = this.inOrder(names);
        return this.layoutOf(names).join(
          b,
          modules.flatMap((module) => order.map((name) => module[name])),
        );
      },
    };
  }

  /** Names in the order in which a vector holds their tensors. */
  private inOrder<N extends string>(names: readonly N[]): N[] {
    const place = (name: string): number => this.hook.names.indexOf(name);
    return [...names].sort((left, right) => place(left) - place(right));
  }

  /** Layout of a vector of the given tensors of all modules. */
  private layoutOf(names: readonly string[]): FlatLayout {
    const own = this.part.layout.slices;
    return new FlatLayout(own.filter(({ name }) => name !== undefined && names.includes(name)));
  }
}

function named<N extends string>(names: readonly N[], values: readonly Value[]): Readonly<Record<N, Value>> {
  const found = Object.fromEntries(names.map((name, i) => [name, values[i]]));
  const isWhole = (record: Record<string, Value | undefined>): record is Record<N, Value> =>
    names.every((name) => record[name] !== undefined);
  if (isWhole(found)) return found;
  throw new InternalError("a module lacks a tensor");
}
