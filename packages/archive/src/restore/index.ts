/**
 * Restoring: a plan made from names alone, carried out by workers, taken up again after whatever ended it.
 *
 * `RestorePlan.open` → `planRestore` → `plan.complete()` → `executeRestore` → report. Nothing leaves the target
 * directory, and nothing has its final name before it is whole and proven.
 */
export type { ContentLoader, PlanSink, RestoreReader } from './archive-reader.ts';
export { executeRestore, executeRestoreBy, type RestoreOptions, type RestoreSources } from './execute-restore.ts';
export { restoreErrors } from './errors.ts';
export { createContentLoader } from './load-content.ts';
export type {
  ConflictPolicy,
  RestoreJob,
  RestoreNotes,
  RestorePolicy,
  RestoreReply,
  RestoreSetup,
  SyncPolicy,
} from './messages.ts';
export { type ContentTools } from './plan-content.ts';
export { type LastEntry, listWithDeleted } from './list-deleted.ts';
export { type MountedVolume, namesOfPath, startsWith, volumeOf, volumesAt } from './plan-paths.ts';
export { planRestore, type RestoreRequest } from './plan-restore.ts';
export { type PlanLine, type PlanPiece, type PlanSummary, RestorePlan } from './restore-plan.ts';
export { type RenamedEntry, type RestoreProblem, type RestoreReport, reportOf } from './restore-report.ts';
export { comparePieces } from './survey.ts';
export type { RestoreProgress } from './restore-run.ts';
export type {
  NameOutcome,
  SpecialNode,
  Target,
  TargetAttributes,
  TargetPlace,
  TargetTime,
  TargetType,
} from './target.ts';
export { RestoreWorker, runRestoreWorker } from './worker.ts';
export type { RestoreThreadData, RestoreWriter, StartRestoreWorker } from './worker-pool.ts';
