import type { Archive } from './archive/archive.ts';
import { notFound, type Selection } from './archive/selection.ts';
import { chooseMoment, listMoments, type Moment } from './archive/times.ts';
import { pathBytes, type Step, walk } from './archive/walk.ts';
import { RecoverError } from './errors.ts';
import { formatInstant } from './format/bytes.ts';
import { type Row, rowTypes } from './format/row.ts';
import { makeReport, type RecoverReport } from './report.ts';
import { contentOf } from './restore/restore-file.ts';

const typeNames: Readonly<Record<number, ListedEntry['type']>> = {
  1: 'file',
  2: 'directory',
  3: 'symlink',
  4: 'fifo',
  5: 'socket',
  6: 'characterDevice',
  7: 'blockDevice',
};

/** One name of a listing. `modifiedAt` is RFC 3339 with up to nine digits; `contentHash` as the format defines it, hex. */
export type ListedEntry = {
  readonly path: Buffer;
  readonly type: 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'characterDevice' | 'blockDevice';
  readonly sizeBytes: number | undefined;
  readonly contentHash: string | undefined;
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly modifiedAt: string | undefined;
  readonly target: Buffer | undefined;
  readonly linkGroup: number | undefined;
};

/** What is in an archive at a time, and the times there are; `entries` is empty where they went to `onEntry`. */
export type Listing = {
  readonly report: RecoverReport;
  readonly moments: readonly { readonly commit: number; readonly at: string | undefined }[];
  readonly entries: readonly ListedEntry[];
};

const ENTRIES_KEPT = 1_000_000;

/** Walks the names of a moment. @throws archive.too_large */
export function listEntries(
  archive: Archive,
  wanted: {
    readonly moment: Moment;
    readonly selection: Selection;
    readonly onEntry: ((entry: ListedEntry) => void) | undefined;
  },
): Listing {
  const entries: ListedEntry[] = [];
  const counts = { files: 0, directories: 0, symlinks: 0, hardLinks: 0, specials: 0, bytes: 0, lostFiles: 0 };
  const keep = (entry: ListedEntry): void => {
    if (entries.length >= ENTRIES_KEPT) throw new RecoverError('archive.too_large', { entries: entries.length });
    entries.push(entry);
  };
  for (const step of walk(archive, wanted.moment.commit, wanted.selection)) {
    const entry = entryOf(archive, step);
    if (entry === undefined) continue;
    count(counts, entry);
    (wanted.onEntry ?? keep)(entry);
  }
  for (const path of notFound(wanted.selection)) {
    archive.findings.add({
      severity: 'loss',
      code: 'path.not_found',
      message: 'there is nothing of this name at that time',
      path: Buffer.from(path, 'latin1'),
    });
  }
  const head = chooseMoment(archive, undefined);
  return {
    report: makeReport(archive, { moment: wanted.moment, head, counts, findings: archive.findings }),
    moments: listMoments(archive).map(({ commit, at }) => ({
      commit,
      at: at === undefined ? undefined : formatInstant(at),
    })),
    entries,
  };
}

function entryOf(archive: Archive, step: Step): ListedEntry | undefined {
  if (step.kind === 'leave') return undefined;
  if (step.kind !== 'unreadable') return describe(pathBytes(step.path), step.row);
  const message = `its row cannot be read: ${String(step.error.details['what'])}`;
  archive.findings.add({ severity: 'loss', code: 'row.unreadable', message, path: pathBytes(step.path) });
  return undefined;
}

function describe(path: Buffer, row: Row | undefined): ListedEntry {
  const type = typeNames[row?.type ?? rowTypes.directory] ?? 'directory';
  const content = row === undefined ? undefined : contentOf(row);
  return {
    path,
    type,
    sizeBytes: type === 'file' ? (content?.sizeBytes ?? 0) : undefined,
    contentHash: content?.contentHash.toString('hex'),
    ...describeMetadata(row),
  };
}

function describeMetadata(row: Row | undefined): Omit<ListedEntry, 'path' | 'type' | 'sizeBytes' | 'contentHash'> {
  const modifiedAt = row?.modifiedAt === undefined ? undefined : formatInstant(row.modifiedAt);
  return { mode: row?.mode, uid: row?.uid, gid: row?.gid, modifiedAt, target: row?.target, linkGroup: row?.linkGroup };
}

function count(
  counts: { files: number; directories: number; symlinks: number; specials: number; bytes: number },
  entry: ListedEntry,
): void {
  if (entry.type === 'file') counts.files += 1;
  else if (entry.type === 'directory') counts.directories += 1;
  else if (entry.type === 'symlink') counts.symlinks += 1;
  else counts.specials += 1;
  counts.bytes += entry.sizeBytes ?? 0;
}
