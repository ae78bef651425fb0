import { Readable } from 'node:stream';
import { parseCommitOpen, parseKeyring, parseLive, RecordKind, splitRecord } from '@holdfast/archive/log';
import { MAX_READ_ORDINALS, requestErrors } from '@holdfast/contract';
import type { IoContext } from '../../platform/context.ts';
import { leaseReadableArchive, type StorageAdapters } from './archives.ts';
import { declaredError } from './declared-errors.ts';
import type { OpenArchive } from './open-archive.ts';
import { receiveBody, type BodyMemory } from './receive-body.ts';
import type { Clock } from '@holdfast/base';
import type { Log } from '../../platform/log.ts';

/** What reading archives needs besides transactions. */
export type ReadAdapters = StorageAdapters & {
  readonly memory: BodyMemory;
  readonly clock: Clock;
  readonly log: Log;
};

const ORDINAL_BYTES = 6;
/** An ordinal and a kind. */
const LISTED_BYTES = 7;
/** Ordinals looked up at once when all records of a kind are read. */
const STRETCH = 1_024;

/**
 * Streams the records with the ordinals of the body, in the order in which they are stored.
 *
 * Those that are not there, and those that are lost, are left out. @throws storage.not_found, request.invalid
 */
export async function readRecords(
  ctx: IoContext<ReadAdapters>,
  archiveId: string,
  sent: { readonly stream: Readable; readonly contentLength: string | undefined },
): Promise<{ stream: Readable }> {
  const maxBytes = MAX_READ_ORDINALS * ORDINAL_BYTES;
  return streaming(ctx, archiveId, async (archive) => {
    const { tenantId, clock } = ctx;
    const expected = { tenantId, contentLength: sent.contentLength, maxBytes, clock };
    const body = await receiveBody(sent.stream, ctx.memory, expected);
    try {
      return recordsOf(ctx, archive, parseOrdinals(body.bytes));
    } finally {
      body.release();
    }
  });
}

/** Streams ordinal and kind of every record, or of those of a kind: 7 bytes each. @throws storage.not_found */
export function listOrdinals(
  ctx: IoContext<ReadAdapters>,
  archiveId: string,
  kind: number | undefined,
): Promise<{ stream: Readable }> {
  return streaming(ctx, archiveId, async (archive) => ordinalsOf(archive, kind));
}

async function* ordinalsOf(archive: OpenArchive, kind: number | undefined): AsyncGenerator<Uint8Array> {
  let chunk = Buffer.allocUnsafe(LISTED_BYTES * 8_192);
  let filled = 0;
  for await (const entry of archive.folder.list(kind)) {
    chunk.writeUIntLE(entry.ordinal, filled, ORDINAL_BYTES);
    chunk[filled + ORDINAL_BYTES] = entry.kind;
    filled += LISTED_BYTES;
    if (filled < chunk.length) continue;
    yield chunk;
    chunk = Buffer.allocUnsafe(chunk.length);
    filled = 0;
  }
  if (filled > 0) yield chunk.subarray(0, filled);
}

/** Kinds that can be read without naming records, and how they are numbered. */
const listed = {
  header: { kind: RecordKind.header, numberOf: () => 1 },
  keyring: { kind: RecordKind.keyring, numberOf: (open: Uint8Array) => parseKeyring(open).number },
  commit: { kind: RecordKind.commit, numberOf: (open: Uint8Array) => parseCommitOpen(open).number },
  live: { kind: RecordKind.live, numberOf: (open: Uint8Array) => parseLive(open).number },
} as const;

/** Streams the records of a kind whose number is greater than `after`. @throws storage.not_found */
export function listRecords(
  ctx: IoContext<ReadAdapters>,
  archiveId: string,
  wanted: { readonly kind: keyof typeof listed; readonly after: number },
): Promise<{ stream: Readable }> {
  return streaming(ctx, archiveId, async (archive) => recordsOfKind(ctx, archive, wanted));
}

async function* recordsOfKind(
  ctx: ReadAdapters,
  archive: OpenArchive,
  wanted: { readonly kind: keyof typeof listed; readonly after: number },
): AsyncGenerator<Uint8Array> {
  const { kind, numberOf } = listed[wanted.kind];
  const isWanted = (record: Uint8Array) => numberOf(splitRecord(record).open) > wanted.after;
  let stretch: number[] = [];
  const seen = new Set<number>();
  for await (const { ordinal } of archive.folder.list(kind)) {
    if (seen.has(ordinal)) continue;
    seen.add(ordinal);
    if (stretch.push(ordinal) < STRETCH) continue;
    for await (const record of recordsOf(ctx, archive, stretch)) if (isWanted(record)) yield record;
    stretch = [];
  }
  for await (const record of recordsOf(ctx, archive, stretch)) if (isWanted(record)) yield record;
}

async function* recordsOf(
  { log }: Pick<ReadAdapters, 'log'>,
  archive: OpenArchive,
  ordinals: readonly number[],
): AsyncGenerator<Uint8Array> {
  let lost = 0;
  for await (const outcome of archive.folder.read(ordinals)) {
    if (outcome.status === 'found') yield outcome.bytes;
    else if (outcome.status === 'lost') lost++;
  }
  if (lost > 0) log.error({ lost }, 'records of an archive could not be read back whole');
}

/** Holds the archive open until the stream has ended, however it does. */
async function streaming(
  ctx: IoContext<StorageAdapters>,
  archiveId: string,
  start: (archive: OpenArchive) => Promise<AsyncGenerator<Uint8Array>>,
): Promise<{ stream: Readable }> {
  const lease = await leaseReadableArchive(ctx, archiveId);
  try {
    const records = await start(lease.archive);
    const stream = Readable.from(records, { objectMode: false, highWaterMark: 1024 * 1024 });
    stream.once('close', lease.release);
    ctx.signal.addEventListener('abort', () => stream.destroy(), { once: true });
    return { stream };
  } catch (error) {
    lease.release();
    throw declaredError(error);
  }
}

function parseOrdinals(bytes: Uint8Array): readonly number[] {
  if (bytes.length % ORDINAL_BYTES !== 0) {
    const message = 'must be ordinals of 6 bytes each';
    throw requestErrors.invalid({ problems: [{ field: 'body', message }] });
  }
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / ORDINAL_BYTES }, (_, i) => view.readUIntLE(i * ORDINAL_BYTES, 6));
}
