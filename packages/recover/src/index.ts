/**
 * Recover: restores an archive from its files and a key, with no server, no network and none of the engine's code.
 *
 * Written from `docs/formats/archive-v1.md` alone. It only reads the archive's folder, and writes only below an empty
 * target. What it gives back was checked piece by piece; what is lost or unproven is in the report.
 */
import { RecoverError } from './errors.ts';
import { openArchive } from './archive/archive.ts';
import { Findings } from './archive/findings.ts';
import { selectPaths } from './archive/selection.ts';
import { type At, chooseMoment } from './archive/times.ts';
import { type Listing, type ListedEntry, listEntries } from './list.ts';
import { makeReport, type RecoverCounts, type RecoverReport } from './report.ts';
import { restore } from './restore/restore.ts';
import type { Secret } from './format/secret.ts';
import { setImmediate } from 'node:timers/promises';

export { RecoverError, describeError, type RecoverErrorCode, type RecoverErrorKind } from './errors.ts';
export type { Finding, Severity } from './archive/findings.ts';
export {
  displayPath,
  pathToJson,
  reportToJson,
  reportToText,
  type RecoverCounts,
  type RecoverReport,
} from './report.ts';
export type { At } from './archive/times.ts';
export type { ListedEntry, Listing } from './list.ts';
export type { Secret } from './format/secret.ts';

/** How far a run is: segments looked at, then what was restored. */
export type Progress = { readonly segments: number; readonly counts: RecoverCounts | undefined };

/** What both calls need. `paths` are absolute, as they were on the device; each stands for itself and all below it. */
export type ArchiveRequest = {
  readonly folder: string;
  readonly secret: Secret;
  readonly at?: At;
  readonly paths?: readonly (string | Uint8Array)[];
  /** Takes commits behind a gap and loose leaves too; the report then says `proven: false`. */
  readonly unproven?: boolean;
  /** How many different password slots are tried before the rest is left as forged; 16 where it is left out, at most 10,000. */
  readonly passwordTries?: number;
  /** SHA-256 in hex, or enough of its beginning, of a keyring: the line that ends in it is read instead of the one that counts. */
  readonly keyring?: string;
  readonly onProgress?: (progress: Progress) => void;
};

/** What a restore needs. */
export type RecoverRequest = ArchiveRequest & {
  /** An empty directory, or one that does not exist yet. Not needed with `dryRun`. */
  readonly outDir?: string;
  /** Gives setuid and setgid bits and `security.*` attributes back. */
  readonly setuid?: boolean;
  /** Keeps what could be saved of a damaged file as `<name>.partial`. */
  readonly keepPartial?: boolean;
  /** Reads and checks everything and writes nothing. */
  readonly dryRun?: boolean;
};

/**
 * Restores what an archive held at a time into an empty directory.
 *
 * Damage does not end the run: a file that is not whole is not put under its name, and the report tells which.
 * @throws RecoverError: request.invalid, secret.*, folder.not_found, keyring.not_found, archive.*, time.nothing_then, target.*
 */
export async function recover(request: RecoverRequest): Promise<RecoverReport> {
  if (request.dryRun !== true && (request.outDir ?? '') === '')
    throw new RecoverError('request.invalid', { field: 'outDir', what: 'it is missing' });
  const findings = new Findings();
  const selection = selectPaths(request.paths);
  const archive = openArchive({ ...request, unproven: request.unproven ?? false }, findings, reportSegments(request));
  try {
    const moment = chooseMoment(archive, request.at);
    const counts = await restore(
      archive,
      {
        commit: moment.commit,
        selection,
        setuid: request.setuid ?? false,
        keepPartial: request.keepPartial ?? false,
        onEntry: (counts) => request.onProgress?.({ segments: archive.shelf.segments, counts }),
      },
      request.dryRun === true ? undefined : request.outDir,
    );
    return makeReport(archive, { moment, head: chooseMoment(archive, undefined), counts, findings });
  } finally {
    archive.shelf.close();
  }
}

/**
 * Lists what an archive holds at a time, entry by entry in the order of the tree, parents first.
 *
 * Contents are not read. With `onEntry` nothing is gathered and any number of names fits; without it they come in the
 * listing, at most a million.
 * @throws as `recover`; archive.too_large past a million entries without `onEntry`
 */
export async function listArchive(
  request: ArchiveRequest & { readonly onEntry?: (entry: ListedEntry) => void },
): Promise<Listing> {
  const findings = new Findings();
  const selection = selectPaths(request.paths);
  const archive = openArchive({ ...request, unproven: request.unproven ?? false }, findings, reportSegments(request));
  try {
    await setImmediate();
    return listEntries(archive, { moment: chooseMoment(archive, request.at), selection, onEntry: request.onEntry });
  } finally {
    archive.shelf.close();
  }
}

function reportSegments(request: ArchiveRequest): (segments: number) => void {
  return (segments) => request.onProgress?.({ segments, counts: undefined });
}
