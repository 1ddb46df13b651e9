/** Tells calls of one module apart, which share a weight, from modules that only share a path. */
import { parseParameterName } from "./module-path.ts";
import type { Site, SiteParameter } from "./sites.ts";

/**
 * The same sites, each under a path of its own. Further calls of a module get a number behind its path, `fc#1`; further
 * modules a name: that of their parameter, `self_attn.q_proj` for a `self_attn.q_proj_weight`, or what PyTorch's
 * MultiheadAttention calls the product, which multiplies by matrices of its own and may hold three modules in one.
 */
export function tellApart(sites: readonly Site[]): Site[] {
  const groups = groupByModule(sites);
  const taken = new Set(groups.keys());
  const paths = new Map<Site, string>();
  for (const [path, modules] of groups) {
    const firsts = modules.flatMap(([first]) => (first === undefined ? [] : [first]));
    const names =
      modules.length === 1
        ? []
        : (attentionNames(firsts) ?? firsts.map((site) => thirdName(site) ?? parameterName(site)));
    modules.forEach((calls, index) => {
      const name = names[index] ?? (index === 0 ? "" : `part_${index}`);
      const own = name === "" ? path : freePath(`${path}.${name}`, taken);
      calls.forEach((site, call) => {
        paths.set(site, call === 0 ? own : `${own}#${call}`);
      });
    });
  }
  return sites.map((site) => ({ ...site, path: paths.get(site) ?? site.path }));
}

/** The calls of each module, in execution order, by path. */
function groupByModule(sites: readonly Site[]): Map<string, Site[][]> {
  const paths = new Set(sites.map(({ path }) => path));
  const groups = new Map<string, Site[][]>();
  for (const site of sites) {
    const first = firstCall(site, sites, paths);
    const modules = groups.get(first) ?? [];
    const known = modules.find(([other]) => other !== undefined && isSameModule(other, site));
    if (known === undefined) modules.push([site]);
    else known.push(site);
    groups.set(first, modules);
  }
  return groups;
}

/** The tracing exporter puts a number behind the name of a module that is called again: `out_proj_1`. Its path without. */
function firstCall(site: Site, sites: readonly Site[], paths: ReadonlySet<string>): string {
  const segments = site.path.split(".");
  const options = segments.reduce<string[]>(
    (begun, segment) => {
      const plain = segment.replace(/_\d+$/, "");
      const names = plain === segment ? [segment] : [plain, segment];
      return begun.flatMap((path) => names.map((name) => (path === "" ? name : `${path}.${name}`)));
    },
    [""],
  );
  const other = options
    .slice(0, -1)
    .find((path) => paths.has(path) && sites.some((each) => each.path === path && isSameModule(each, site)));
  return other ?? site.path;
}

/** A path that no other module has; takes it. */
function freePath(wanted: string, taken: Set<string>): string {
  let path = wanted;
  for (let count = 1; taken.has(path); count++) path = `${wanted}_${count}`;
  taken.add(path);
  return path;
}

/** Names of the products of a MultiheadAttention in order, by how often its width each result has. */
const attentionProducts: readonly (readonly [times: readonly number[], names: readonly string[]])[] = [
  // PEFT's path of the packed projections is that of the module.
  [
    [3, 1],
    ["", "out_proj"],
  ],
  [
    [1, 2],
    ["q_proj", "kv_proj"],
  ],
  [
    [1, 2, 1],
    ["q_proj", "kv_proj", "out_proj"],
  ],
  [
    [1, 1, 1],
    ["q_proj", "k_proj", "v_proj"],
  ],
  [
    [1, 1, 1, 1],
    ["q_proj", "k_proj", "v_proj", "out_proj"],
  ],
];

function attentionNames(modules: readonly Site[]): readonly string[] | undefined {
  const [first] = modules;
  if (first?.kind !== "linear") return undefined;
  const times = modules.map((site) =>
    site.kind === "linear" ? site.outFeatures / first.inFeatures : Number.NaN,
  );
  return attentionProducts.find(([wanted]) => wanted.join() === times.join())?.[1];
}

/** Which of three projections a site is whose weight or bias is a third of a packed `in_proj` parameter. */
function thirdName(site: Site): string | undefined {
  const part = [site.weight, site.bias].find((each) => each?.rows !== undefined);
  const { start, size } = part?.rows ?? { start: 0, size: 0 };
  if (parameterName(site) !== "in_proj" || part?.value.initializer?.dims[0] !== 3 * size) return undefined;
  return ["q_proj", "k_proj", "v_proj"][start / size];
}

/** What a parameter beside `weight` and `bias` is called after, such as `q_proj` of `q_proj_weight`. */
function parameterName({ weight, bias }: Site): string | undefined {
  const names = [weight, bias].flatMap((part) => parseParameterName(part?.value.name ?? "")?.parameter ?? []);
  return names.map((name) => name.replace(/_?(weight|bias)$/, "")).find((name) => name !== "");
}

/** Whether two sites multiply by the same numbers: one initializer, or copies that an exporter made of it. */
function isSameModule(left: Site, right: Site): boolean {
  return left.kind === right.kind && isSameParameter(left.weight, right.weight);
}

function isSameParameter(left: SiteParameter, right: SiteParameter): boolean {
  if (left.rows?.start !== right.rows?.start || left.rows?.size !== right.rows?.size) return false;
  if (left.value === right.value) return true;
  const [a, b] = [left.value.initializer, right.value.initializer];
  if (a === undefined || b === undefined || left.storedAs !== right.storedAs) return false;
  if (a.dtype !== b.dtype || a.dims.join() !== b.dims.join()) return false;
  return a === b || Buffer.compare(a.bytes(), b.bytes()) === 0;
}
