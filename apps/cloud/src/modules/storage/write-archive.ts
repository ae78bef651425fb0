import { CodedError, type Clock } from '@holdfast/base';
import { MAX_FRAGMENT_BYTES, storageErrors, type CommitName, type OpenedSession } from '@holdfast/contract';
import type { IoContext } from '../../platform/context.ts';
import type { HasRoom } from '../../platform/room.ts';
import { admit, quotaOf, withOwnArchive, type StorageAdapters } from './archives.ts';
import type { FragmentPlace, OpenArchive } from './open-archive.ts';
import type { ReceiptSigner } from './receipts.ts';
import { receiveBody, type BodyMemory } from './receive-body.ts';
import type { Readable } from 'node:stream';

/** What writing to archives needs besides transactions. */
export type WriteAdapters = StorageAdapters & {
  readonly installationId: string;
  readonly receipts: ReceiptSigner;
  readonly memory: BodyMemory;
  readonly quotas: Quotas;
  readonly clock: Clock;
  readonly hasRoom: HasRoom;
};

/** Begins a session; all older ones of the archive are fenced off. @throws storage.not_found */
export function openWriteSession(
  ctx: IoContext<WriteAdapters>,
  archiveId: string,
  known: CommitName | null,
): Promise<OpenedSession> {
  return withOwnArchive(ctx, archiveId, async (archive) => {
    ctx.quotas.forget(archive);
    const { sessionEpoch, nextFragment, head, comparison, at } = await archive.openSession(known ?? undefined);
    const { highestSequences } = await archive.folder.status();
    return {
      session: sessionEpoch,
      nextFragment,
      head: head ?? null,
      comparison,
      keyring: archive.state.keyring ?? null,
      serverTime: at.toISOString(),
      highestSequences: [...highestSequences].map(([writer, sequence]) => ({ writer, sequence })),
      receiptKey: ctx.receipts.key,
    };
  });
}

/** A fragment as it arrives. */
export type SentFragment = FragmentPlace & { readonly stream: Readable; readonly contentLength: string | undefined };

/** The answer to a fragment: it is on stable storage, and here is the proof. */
export type FragmentReceipt = { nextFragment: number; head: CommitName | null; at: string; receipt: string };

/** Takes a fragment in; the answer comes when it is on stable storage, indexed and noted. @throws as the contract says */
export function appendFragment(
  ctx: IoContext<WriteAdapters>,
  archiveId: string,
  { stream, contentLength, session, sequence }: SentFragment,
): Promise<FragmentReceipt> {
  return withOwnArchive(ctx, archiveId, async (archive) => {
    // Before the body is received, and before it takes what the database needs to go on.
    if (!(await ctx.hasRoom())) throw storageErrors.full();
    const { tenantId, clock } = ctx;
    const expected = { tenantId, contentLength, maxBytes: MAX_FRAGMENT_BYTES, clock };
    const body = await receiveBody(stream, ctx.memory, expected);
    try {
      const durable = await withinQuota(ctx, archive, (quotaBytes) =>
        archive.append({ session, sequence }, body.bytes, {
          quotaBytes,
          admit: (arriving) => admit(ctx, archive, arriving),
        }),
      );
      const { head: newest } = durable.state;
      const head = newest ? { number: newest.number, sha256: newest.sha256 } : null;
      const at = durable.at.toISOString();
      const { installationId } = ctx;
      const receipt = ctx.receipts.sign({ installationId, archiveId, session, fragment: sequence, head, at });
      return { nextFragment: sequence + 1, head, at, receipt };
    } finally {
      body.release();
    }
  });
}

/** Appends within the quota as it was known; what that refuses is judged again by what it is now, or a hold came too late. */
async function withinQuota<T>(
  ctx: IoContext<WriteAdapters>,
  archive: OpenArchive,
  append: (quotaBytes: number | null) => Promise<T>,
): Promise<T> {
  const known = await ctx.quotas.of(ctx, archive);
  try {
    return await append(known);
  } catch (error) {
    if (!(error instanceof CodedError) || error.code !== storageErrors.quota_exceeded.code) throw error;
    ctx.quotas.forget(archive);
    const now = await ctx.quotas.of(ctx, archive);
    if (now === known) throw error;
    return append(now);
  }
}

const QUOTA_MS = 60_000;

/** The quotas of open archives, read again every minute and with every session. */
export class Quotas {
  readonly #known = new WeakMap<OpenArchive, { readonly untilMs: number; readonly quota: Promise<number | null> }>();

  /** Bytes the archive may hold; no limit when null. */
  of(ctx: IoContext<{ readonly clock: Clock }>, archive: OpenArchive): Promise<number | null> {
    const known = this.#known.get(archive);
    if (known && known.untilMs > ctx.clock.monotonic()) return known.quota;
    const quota = ctx.transact(({ tx }) => quotaOf(tx, archive));
    quota.catch(() => this.#known.delete(archive));
    this.#known.set(archive, { untilMs: ctx.clock.monotonic() + QUOTA_MS, quota });
    return quota;
  }

  forget(archive: OpenArchive): void {
    this.#known.delete(archive);
  }
}
