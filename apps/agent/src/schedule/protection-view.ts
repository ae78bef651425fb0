/** What is known about how protection goes. */
import type { BackupReport, Problem } from '@holdfast/archive';
import type { CodedError } from '@holdfast/base';
import type { PassProgress } from './run-pass.ts';

/** Something selected that is not there: an include, or a volume that was mounted inside one. */
export type MissingPlace = {
  readonly path: Uint8Array;
  readonly reason: BackupReport['missing'][number]['reason'] | 'unmounted';
};

/** What is known about how protection goes, for `status`. */
export type ProtectionView = {
  readonly activity: 'idle' | 'connecting' | 'looking';
  readonly progress: PassProgress | undefined;
  readonly isEverComplete: boolean;
  readonly hasChanges: boolean;
  readonly watchedDirectories: number;
  readonly unwatchedDirectories: number;
  readonly missing: readonly MissingPlace[];
  readonly problems: readonly Problem[];
  readonly moreProblems: number;
  /** Why the last pass did not come to its end. */
  readonly failure: CodedError | undefined;
  /** Wall clock of the last whole pass that came to its end, milliseconds since 1970. */
  readonly wholeAtMs: number | undefined;
};

/** Before anything was looked at. */
export const nothingYet: ProtectionView = {
  activity: 'idle',
  progress: undefined,
  isEverComplete: false,
  hasChanges: false,
  watchedDirectories: 0,
  unwatchedDirectories: 0,
  missing: [],
  problems: [],
  moreProblems: 0,
  failure: undefined,
  wholeAtMs: undefined,
};
