/** What the agent and the process that restores say to each other. Structured clones over the process's own channel. */
import type { ConflictPolicy, RestoreProgress, RestoreReport } from '@holdfast/archive';

/** What is to be done, sent once the process is ready. */
export type ChildJob = {
  readonly planFile: string;
  /** Absolute; made where it is missing. */
  readonly target: Uint8Array;
  /** Whom to become before anything is opened; absent where the agent itself may do this for who asked. */
  readonly user?: { readonly uid: number; readonly gid: number; readonly name?: string };
  readonly archiveId: Uint8Array;
  readonly epochs: readonly { readonly number: number; readonly suite: number; readonly key: Uint8Array }[];
  readonly onConflict: ConflictPolicy;
  readonly setuid: boolean;
  readonly owners: 'recorded' | 'caller';
};

/** To the process. */
export type ToChild =
  | { readonly kind: 'job'; readonly job: ChildJob }
  | { readonly kind: 'record'; readonly asked: number; readonly record: Uint8Array }
  /** All records that were asked for and are there have been sent; `error` is why there are no more. */
  | { readonly kind: 'records_end'; readonly asked: number; readonly error?: ChildError }
  | { readonly kind: 'stop' };

/** A declared error as plain data. */
export type ChildError = {
  readonly code: string;
  readonly kind: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
};

/** From the process. */
export type FromChild =
  | { readonly kind: 'ready' }
  | { readonly kind: 'read'; readonly asked: number; readonly ordinals: readonly number[] }
  | { readonly kind: 'progress'; readonly progress: RestoreProgress }
  | { readonly kind: 'report'; readonly report: RestoreReport }
  | { readonly kind: 'failed'; readonly error: ChildError };

/** How many threads write, and one that brings to stable storage. */
export const restoreWorkers = 2;
