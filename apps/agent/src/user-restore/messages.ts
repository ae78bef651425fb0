/**
 * What the agent and the process that writes for a user say to each other. Structured clones over the process's own
 * channel: no keys, no records, no plan; of contents only proven pieces of what the user may read.
 */
import type { RestoreJob, RestorePolicy, RestoreReply } from '@holdfast/archive';

/** Whom to become and where to write; sent once the process is ready. */
export type WriterSetup = {
  /** Whom to become before anything is opened. */
  readonly user: { readonly uid: number; readonly gid: number; readonly name?: string };
  /** Absolute; made where it is missing. */
  readonly target: Uint8Array;
  readonly policy: RestorePolicy;
};

/** To the process. */
export type ToWriter =
  { readonly kind: 'setup'; readonly setup: WriterSetup } | { readonly kind: 'job'; readonly job: RestoreJob };

/** A declared error as plain data. */
export type PlainError = {
  readonly code: string;
  readonly kind: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
};

/** From the process: `ready` to be told, `open` for jobs or `refused`, then an answer to each job. */
export type FromWriter =
  | { readonly kind: 'ready' }
  | { readonly kind: 'open' }
  | { readonly kind: 'refused'; readonly error: PlainError }
  | { readonly kind: 'reply'; readonly reply: RestoreReply };
