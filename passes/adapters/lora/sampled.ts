/** MonteCLoRA: in training A is drawn from a mixture of normal distributions, whose parameters are trained with it. */
import { filled, type Initializer } from "../../../src/adapt/initializers.ts";
import { InternalError } from "../../../src/diagnostics/define.ts";
import type { Value } from "../../../src/ir/value.ts";
import { factorOf } from "../parts/factors.ts";
import { digamma, logGamma } from "../parts/gamma.ts";
import { updateOf } from "./factors.ts";
import type { LoraContext, LoraVariant } from "./variant.ts";

type Config = NonNullable<LoraContext["options"]["monteclora_config"]>;

function configOf({ monteclora_config: config }: LoraContext["options"]): Config {
  if (config === null) throw new InternalError("monteclora_config is not given");
  return config;
}

const uniform: Initializer = (shape, random) =>
  Float32Array.from({ length: shape[0] ?? 0 }, () => random.uniform());

const unit: Initializer = ([rows = 0]) =>
  Float32Array.from({ length: rows * rows }, (_, at) => (at % (rows + 1) === 0 ? 1 : 0));

interface Draw {
  /** Variances of the columns of A, [r]. */
  readonly variances: Value;
  /** Weights of the draws, [samples]. */
  readonly weights: Value;
  /** What is added to A, [r, inputs]. */
  readonly shift: Value;
}

/** One step's draw (Sengupta et al. 2024, section 3), by the parameters of the distributions. */
function draw({ params, b, noise, options: o }: LoraContext): Draw {
  const { num_samples: count, sample_scaler: scale } = configOf(o);
  const A = factorOf(params, "A");
  const normalLike = (shape: readonly number[]): Value => {
    const values = noise("normal", b.expand(b.scalar(0, "float32"), b.ints(shape)));
    if (values === undefined) throw new InternalError("a training graph has noise");
    return values;
  };
  // The diagonal of a Wishart matrix of the identity: sums of r squares of normal numbers.
  const wishart = b.reduceSumSquare(normalLike([o.r, o.r]), [1], false);
  const deviations = factorOf(params, "deviations");
  const variances = b.max(b.mul(b.exp(b.mul(deviations, 2)), wishart), b.scalar(1e-3, "float32"));
  // A Dirichlet distribution as a normal one of logarithms, put through a softmax.
  const alpha = b.max(b.exp(factorOf(params, "experts")), b.scalar(1e-6, "float32"));
  const inverse = b.reciprocal(alpha);
  const spread = b.add(b.mul(inverse, 1 - 2 / count), b.mul(b.reduceSum(inverse, [0], true), 1 / count ** 2));
  const deviation = b.sqrt(b.add(b.max(spread, b.scalar(1e-6, "float32")), b.scalar(1e-6, "float32")));
  const logs = b.log(alpha);
  const means = b.sub(logs, b.reduceMean(logs, [0], true));
  const weights = b.op("Softmax", [b.add(b.mul(deviation, normalLike([count])), means)], { axis: 0 });
  const [rows = 0, columns = 0] = staticShape(A);
  const directions = normalLike([count, rows * columns]);
  const mixed = b.reshape(b.matmul(b.unsqueeze(weights, [0]), directions), [rows, columns]);
  const shift = b.mul(b.mul(mixed, b.unsqueeze(b.sqrt(variances), [1])), scale);
  return { variances, weights, shift };
}

function staticShape(value: Value): number[] {
  return (value.tensorType?.shape ?? []).map((dim) => {
    if (typeof dim !== "number") throw new InternalError("a factor of unknown size");
    return dim;
  });
}

/** The divergence of what is trained from its prior, and where asked for the squares of the weights, over all modules' number. */
function priorLoss({ params, b, options: o, modules }: LoraContext, { variances, weights }: Draw): Value {
  const {
    num_samples: count,
    kl_loss_weight: weight,
    dirichlet_prior: prior,
    use_entropy: entropy,
  } = configOf(o);
  const { r } = o;
  const alpha = b.exp(factorOf(params, "experts"));
  const total = b.reduceSum(alpha, undefined, false);
  const priors = b.expand(b.scalar(prior, "float32"), b.ints([count]));
  const sum = (x: Value): Value => b.reduceSum(x, undefined, false);
  const dirichlet = b.add(
    b.sub(
      b.sub(logGamma(total, b), sum(logGamma(alpha, b))),
      b.sub(logGamma(sum(priors), b), sum(logGamma(priors, b))),
    ),
    sum(b.mul(b.sub(alpha, priors), b.sub(digamma(alpha, b), digamma(total, b)))),
  );
  const logVariances = b.mul(factorOf(params, "deviations"), 2);
  const wishart = b.mul(b.sub(b.mul(b.sub(sum(b.exp(logVariances)), sum(logVariances)), r), r * r), 0.5);
  const normal = b.mul(b.sub(b.sub(sum(variances), sum(b.log(variances))), r), 0.5 * count);
  const divergence = b.mul(b.add(b.add(dirichlet, wishart), normal), weight);
  const all = entropy ? b.add(divergence, b.reduceSumSquare(weights, undefined, false)) : divergence;
  return b.div(all, modules);
}

export const sampled: LoraVariant = {
  option: "monteclora_config",
  isAsked: (o) => o.monteclora_config !== null,
  kinds: ["linear"],
  parameters: (plain, _, o) => {
    const { num_samples: count } = configOf(o);
    const key = (name: string): string => `lora_monteclora_sampler.${name}`;
    const kept = { trainable: false };
    return {
      ...plain,
      deviations: { key: key("std_prior"), shape: [o.r], init: uniform },
      experts: { key: key("expert_weights_prior"), shape: [count], init: uniform },
      // Of PEFT's last draw, which nothing reads.
      variances: { key: key("gaussian_var_prior"), shape: [o.r, o.r], init: unit, ...kept },
      weights: { key: key("expert_weights"), shape: [count], init: filled(1 / count), ...kept },
    };
  },
  build: (context) => {
    const { site, x, y, params, options: o, b, dropout, training, addToLoss } = context;
    const dropped = dropout(x, o.lora_dropout);
    if (!training) return b.add(y, updateOf(site, dropped, params, o, b));
    const drawn = draw(context);
    if (o.auxiliary_loss) addToLoss(priorLoss(context, drawn));
    const A = b.add(factorOf(params, "A"), drawn.shift);
    return b.add(y, updateOf(site, dropped, { ...params, A }, o, b));
  },
};
