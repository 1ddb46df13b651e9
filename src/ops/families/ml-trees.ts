/** Ensembles of trees in ai.onnx.ml, whose results are constant between the thresholds of their nodes. */
import { isFloat } from "../../ir/dtype.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp, refuse, zero } from "../define.ts";
import { countLabels, labelsType, rowCount, scoresType } from "../kernels/ml-scores.ts";
import { counts, floats, int, ints, maybeInt, tensor, text, texts } from "../params.ts";

const domain = "ai.onnx.ml";
const evaluate = refuse("trees are left to the runtime");
const piecewise = zero("the result of a tree is constant between the thresholds of its nodes");

/** Nodes of all trees, in the lists of the operators before version 5. */
const nodes = {
  base_values: floats(),
  base_values_as_tensor: tensor(),
  nodes_falsenodeids: ints(),
  nodes_featureids: ints(),
  nodes_hitrates: floats(),
  nodes_hitrates_as_tensor: tensor(),
  nodes_missing_value_tracks_true: ints(),
  nodes_modes: texts(),
  nodes_nodeids: ints(),
  nodes_treeids: ints(),
  nodes_truenodeids: ints(),
  nodes_values: floats(),
  nodes_values_as_tensor: tensor(),
  post_transform: text("NONE"),
};

export const TreeEnsembleRegressor = defineOp({
  type: "TreeEnsembleRegressor",
  domain,
  versions: [1, 3, 5],
  inputs: ["x"],
  outputs: ["y"],
  attributes: {
    ...nodes,
    aggregate_function: text("SUM"),
    n_targets: maybeInt(counts),
    target_ids: ints(),
    target_nodeids: ints(),
    target_treeids: ints(),
    target_weights: floats(),
    target_weights_as_tensor: tensor(),
  },
  infer: ({ in: { x }, attrs: { n_targets } }) => [scoresType(x, n_targets ?? 1)],
  evaluate,
  precision: "full",
  gradient: piecewise,
});

export const TreeEnsembleClassifier = defineOp({
  type: "TreeEnsembleClassifier",
  domain,
  versions: [1, 3, 5],
  inputs: ["x"],
  outputs: ["label", "scores"],
  attributes: {
    ...nodes,
    class_ids: ints(),
    class_nodeids: ints(),
    class_treeids: ints(),
    class_weights: floats(),
    class_weights_as_tensor: tensor(),
    classlabels_int64s: ints(),
    classlabels_strings: texts(),
  },
  infer: ({ in: { x }, attrs }) => {
    const labels = { ints: attrs.classlabels_int64s, strings: attrs.classlabels_strings };
    return [labelsType(x, labels), scoresType(x, countLabels(labels))];
  },
  evaluate,
  precision: "full",
  gradient: piecewise,
});

/** Takes the place of both from version 5 on; the result has the type of the features. */
export const TreeEnsemble = defineOp({
  type: "TreeEnsemble",
  domain,
  versions: [5],
  inputs: ["x"],
  outputs: ["y"],
  attributes: {
    aggregate_function: int(1),
    leaf_targetids: ints(),
    leaf_weights: tensor(),
    membership_values: tensor(),
    n_targets: maybeInt(counts),
    nodes_falseleafs: ints(),
    nodes_falsenodeids: ints(),
    nodes_featureids: ints(),
    nodes_hitrates: tensor(),
    nodes_missing_value_tracks_true: ints(),
    nodes_modes: tensor(),
    nodes_splits: tensor(),
    nodes_trueleafs: ints(),
    nodes_truenodeids: ints(),
    post_transform: int(0),
    tree_roots: ints(),
  },
  infer: ({ in: { x }, attrs: { n_targets } }) => {
    const dtype = x.tensorType?.dtype;
    return [
      dtype !== undefined && isFloat(dtype) ? tensorType(dtype, [rowCount(x), n_targets ?? 1]) : undefined,
    ];
  },
  evaluate,
  precision: "full",
  gradient: piecewise,
});
