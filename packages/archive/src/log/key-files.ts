import { parseKeyring } from '../format/keyring.ts';
import type { Ordinal } from '../format/ordinal.ts';
import { RecordKind, splitRecord } from '../format/record.ts';
import { type Disk, readSmallFile, replaceFile } from './disk.ts';
import { logErrors } from './errors.ts';
import { isWholeRecord, longestRecordBytes, readFrame } from './record-frame.ts';

/** Header and keyrings are kept as files of their own, this many times each. */
export const keyCopies = 3;

/** The name of the files of a header or keyring record, without `.1` `.2` `.3`; undefined for other kinds. */
export function keyFileName(record: Uint8Array): string | undefined {
  const kind = readFrame(record, 0)?.kind;
  if (kind === RecordKind.header) return 'header';
  if (kind !== RecordKind.keyring) return undefined;
  return `keyring-${parseKeyring(splitRecord(record).open).number}`;
}

/** What is in the keys folder: each record once, and which of its copies are missing or not whole. */
export type KeyFile = {
  readonly name: string;
  /** Undefined where no copy is whole. */
  readonly record: Uint8Array | undefined;
  readonly badCopies: readonly number[];
};

/** Reads the whole keys folder. */
export async function readKeyFiles(disk: Disk, directory: string): Promise<KeyFile[]> {
  const files = await disk.list(directory);
  const names = new Set(files.flatMap((file) => file.match(/^(header|keyring-[1-9]\d*)\.[123]$/)?.[1] ?? []));
  return Promise.all([...names].map((name) => readKeyFile(disk, directory, name)));
}

/** Reads the copies of one record. */
export async function readKeyFile(disk: Disk, directory: string, name: string): Promise<KeyFile> {
  let record: Uint8Array | undefined;
  const badCopies: number[] = [];
  for (let copy = 1; copy <= keyCopies; copy++) {
    // A copy that cannot be read is a bad copy, whatever the reason.
    const bytes = await readSmallFile(disk, `${directory}/${name}.${copy}`, longestRecordBytes).catch(() => undefined);
    const frame = bytes && readFrame(bytes, 0);
    const isWhole = bytes && frame && isWholeRecord(bytes, frame.ordinal) && nameOrNone(bytes) === name;
    if (isWhole) record ??= bytes;
    if (!isWhole || Buffer.compare(bytes, record!) !== 0) badCopies.push(copy);
  }
  return { name, record, badCopies };
}

function nameOrNone(record: Uint8Array): string | undefined {
  try {
    return keyFileName(record);
  } catch {
    return undefined;
  }
}

/** The header or keyring of that ordinal, from the keys folder. */
export async function findKeyRecord(disk: Disk, directory: string, ordinal: Ordinal): Promise<Uint8Array | undefined> {
  const files = await readKeyFiles(disk, directory);
  return files.find(({ record }) => record && readFrame(record, 0)?.ordinal === ordinal)?.record;
}

/** @throws log.keyring_known where another record than this one has its name in the folder or among those to be written. */
export async function expectKeyNameFree(
  disk: Disk,
  directory: string,
  record: Uint8Array,
  others: Iterable<Uint8Array>,
): Promise<void> {
  const name = keyFileName(record)!;
  const present = (await readKeyFile(disk, directory, name)).record;
  const taken = [...others].filter((other) => keyFileName(other) === name);
  if (present) taken.push(present);
  if (taken.some((other) => Buffer.compare(other, record) !== 0)) throw logErrors.keyring_known({ name });
}

/**
 * Writes the copies of a header or keyring that are not there or not whole; returns once all are on stable storage.
 *
 * Where another whole record is there under that name, that one stays.
 */
export async function writeKeyFiles(disk: Disk, directory: string, record: Uint8Array): Promise<void> {
  const name = keyFileName(record)!;
  const present = await readKeyFile(disk, directory, name);
  const kept = present.record ?? record;
  for (const copy of present.badCopies) await replaceFile(disk, directory, `${name}.${copy}`, kept);
}
