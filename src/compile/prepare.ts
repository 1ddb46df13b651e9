/** What every model goes through before anything is attached to it. */

/**
 * Brings a model to the form that sites are found in and rules speak: no local functions, one opset, constants as
 * initializers, known shapes, no modules inside fused nodes, shape arithmetic folded where the axes allow it.
 */
export const preparePipeline =
  "hold-defaults,inline-functions,upgrade-opset,lift-constants,infer-shapes,time-first,unfuse,training-form,fold,infer-shapes,open-quantised,canonicalize,fold,fold-shapes,canonicalize,cse,dce";
