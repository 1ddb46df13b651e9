/** What a training run is asked for, what it tells on its way, and how it ends. */
import type { Dataset, FieldRequest } from "../data/batch.ts";
import type { Artifact } from "./artifact.ts";
import type { TrainingRecord } from "./checkpoint.ts";
import type { Trace } from "./profile.ts";
import type { StepResult } from "./step.ts";
import type { TrainerOptions } from "./trainer.ts";

export interface TrainRunOptions extends Pick<TrainerOptions, "threads" | "provider" | "seed"> {
  /** The artifact, or its folder. */
  readonly artifact: string | Artifact;
  /** Folder for checkpoints and metrics; the artifact's own unless given. */
  readonly out?: string | undefined;
  readonly dataset: Dataset;
  readonly evaluation?: Dataset | undefined;
  readonly wanted: readonly FieldRequest[];
  /** Kept with every checkpoint, so that an evaluation reads labels as the training did. */
  readonly labelNames?: readonly string[] | undefined;
  readonly batch: number;
  /** Whether batches are made of examples of like length, where lengths differ; yes unless false. */
  readonly groupByLength?: boolean | undefined;
  /** Updates of the run, rounded up to whole runs of the graph; or epochs, where it is left out. */
  readonly steps?: number | undefined;
  readonly epochs?: number | undefined;
  readonly evalEvery?: number | undefined;
  readonly saveEvery?: number | undefined;
  /** Checkpoints that are kept; all where it is left out. */
  readonly keep?: number | undefined;
  readonly resume?: boolean | undefined;
  /** Rows of one evaluation, for data without an end. */
  readonly evalRows?: number | undefined;
  /** Profiles the first updates of the run, and hands what the profiler wrote to `onDone`. */
  readonly profile?: ProfileRequest | undefined;
  readonly onStart?: (facts: RunStart) => void;
  readonly onStep?: (result: StepResult, facts: StepFacts) => void;
  readonly onEvaluation?: (step: number, metrics: Readonly<Record<string, number>>) => void;
  readonly onEvaluationBatch?: (done: number, total: number) => void;
  /** Asked between batches; true finishes, saves and ends. */
  readonly shouldStop?: () => boolean;
}

export interface ProfileRequest {
  /** Start of the paths that the profiler writes to. */
  readonly prefix: string;
  /** Updates that are profiled, rounded up to whole runs of the graph. */
  readonly updates: number;
  readonly onDone: (traces: readonly Trace[]) => void;
}

export interface RunStart {
  readonly totalSteps: number;
  /** Updates that were done before. */
  readonly from: number;
  readonly stepsPerEpoch: number;
  /** Where the training that the folder held before was put; undefined where it held none, or where it goes on. */
  readonly setAside: string | undefined;
}

export interface StepFacts {
  readonly totalSteps: number;
  readonly ms: number;
  readonly epoch: number;
}

/** How a run ended. */
export interface RunResult {
  readonly steps: number;
  readonly totalSteps: number;
  readonly stopped: boolean;
  /** Updates of this run that changed nothing, since their gradient was not finite. */
  readonly skippedSteps: number;
  readonly lastLoss: number;
  readonly checkpoint: string;
  readonly metrics: Readonly<Record<string, number>> | undefined;
  /** The evaluation with the smallest loss, earlier parts of the run included. */
  readonly best: TrainingRecord["best"];
}
