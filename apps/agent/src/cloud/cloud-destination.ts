import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import { parseRecordHeader, recordLengthOf, type CommitName, type Ordinal } from '@holdfast/archive';
import { CodedError, formatUuid, retryDelayMs, Semaphore, systemClock, type Clock } from '@holdfast/base';
import {
  FRAGMENT_WINDOW,
  MAX_BEGINNING_BYTES,
  MAX_READ_ORDINALS,
  ReceiptClaims,
  storageErrors,
  storageRoutes,
  type OpenedSession,
} from '@holdfast/contract';
import type { DestinationSession } from '../destinations/destination-place.ts';
import type { CloudClient } from './cloud-client.ts';
import { cloudErrors } from './errors.ts';
import { readStream } from './read-stream.ts';

/** What opening the cloud's side of an archive needs. */
export type CloudSessionFacts = {
  /** What the destination is called, in reports and errors; `cloud` when left out. */
  readonly name?: string;
  /** 16 bytes. */
  readonly archiveId: Uint8Array;
  /** The newest commit the device knows. */
  readonly known: CommitName | undefined;
  /** Header and keyrings: the first two begin an archive that is not there yet. */
  readonly keyRecords: readonly Uint8Array[];
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
  /** Told of every receipt: the agent keeps the newest outside its database. */
  readonly onReceipt?: (receipt: Receipt) => void;
};

/** A receipt as it came, and what it says. */
export type Receipt = { readonly jws: string; readonly claims: ReceiptClaims };

const RESEND = { attempts: 6, firstDelayMs: 250, maxDelayMs: 5_000 } as const;
const LISTED_BYTES = 7;
/** Of a record's header: none is shorter. */
const RECORD_BYTES = 52;
/** 64 TiB of blocks of average size; what is listed is kept in memory. */
const MOST_RECORDS = 2 ** 28;

/**
 * A session with the archive of this device at its cloud.
 *
 * Fragments go out up to eight at a time and take effect in the order of the calls; a fragment whose answer was lost is
 * sent again, which changes nothing where it had arrived. After one has failed for good, so do all later ones.
 */
export class CloudDestination implements DestinationSession {
  readonly name: string;
  readonly head: CommitName | undefined;
  readonly keyringNumber: number;
  /** The cloud takes no new writer whom the one before does not introduce: a device's token alone is not enough. */
  readonly requiresIntroduction = true;
  isSuperseded = false;
  /** What the session began with. */
  readonly opened: OpenedSession;
  readonly #client: CloudClient;
  readonly #archiveId: string;
  readonly #facts: CloudSessionFacts;
  readonly #receiptKey: KeyObject;
  readonly #window = new Semaphore(FRAGMENT_WINDOW);
  readonly #ended = new AbortController();
  #nextFragment: number;
  #sentAtMost = 0;
  #failure: { readonly cause: unknown } | undefined;

  private constructor(client: CloudClient, facts: CloudSessionFacts, opened: OpenedSession) {
    this.#client = client;
    this.#facts = facts;
    this.name = facts.name ?? 'cloud';
    this.#archiveId = formatUuid(facts.archiveId);
    this.opened = opened;
    this.head = opened.head ?? undefined;
    this.keyringNumber = opened.keyring?.number ?? 0;
    this.#nextFragment = opened.nextFragment;
    const { x } = opened.receiptKey;
    this.#receiptKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  }

  /**
   * Opens a session, having begun the archive where the device has none yet; all earlier sessions are fenced off.
   *
   * @throws storage.archive_exists where the device has another archive, devices.deauthorized, sdk.unreachable
   */
  static async open(client: CloudClient, facts: CloudSessionFacts): Promise<CloudDestination> {
    const params = { archiveId: formatUuid(facts.archiveId) };
    const body = { known: facts.known ? { number: facts.known.number, sha256: facts.known.sha256 } : null };
    const signal = facts.signal ? { signal: facts.signal } : {};
    const openOnce = () => client.call(storageRoutes.openSession, { params, body, ...signal });
    const opened = await openOnce().catch(async (error: unknown) => {
      const isMissing = isCode(error, storageErrors.not_found.code);
      const [header, keyring, ...more] = facts.keyRecords.map((record) => Buffer.from(record).toString('base64'));
      if (!isMissing || header === undefined || keyring === undefined) throw error;
      const isShort = more.reduce((sum, { length }) => sum + length, 0) <= MAX_BEGINNING_BYTES;
      // What is too long to come at once follows by the session.
      const body = { header, keyring, ...(more.length > 0 && isShort && { more }) };
      await client.call(storageRoutes.create, { body, ...signal });
      return openOnce();
    });
    return new CloudDestination(client, facts, opened);
  }

  /** Adds whole records; resolves when the cloud's receipt says that they are on stable storage. */
  append(fragment: Uint8Array): Promise<void> {
    const sequence = this.#nextFragment++;
    this.#sentAtMost += Math.ceil(fragment.length / RECORD_BYTES);
    return this.#window.use(async () => {
      try {
        await this.#send(sequence, fragment);
      } catch (error) {
        // This agent closes its own session before it opens the next: a newer one is somebody else's who has its keys.
        this.isSuperseded ||= !this.#failure && isCode(error, storageErrors.session_superseded.code);
        this.#failure ??= { cause: error };
        // Those behind it would wait for it in vain.
        this.#ended.abort(cloudErrors.session_ended({}, error));
        throw error;
      }
    });
  }

  /** The records with these ordinals that are there, whole, in the order in which they are stored. */
  async *read(ordinals: readonly Ordinal[], signal?: AbortSignal): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const params = { archiveId: this.#archiveId };
    const ended = this.#endedBy(signal);
    for (let first = 0; first < ordinals.length; first += MAX_READ_ORDINALS) {
      const stream = ordinalBytes(ordinals.slice(first, first + MAX_READ_ORDINALS));
      const input = { params, stream, ...ended };
      let left = Math.min(MAX_READ_ORDINALS, ordinals.length - first);
      for await (const record of recordsIn(await this.#client.call(storageRoutes.read, input), ended.signal)) {
        // Each that is asked for is there once.
        if (left-- === 0) throw cloudErrors.reply_invalid({ problem: 'more records than were asked for' });
        yield record;
      }
    }
  }

  async highestSequence(writerNumber: number): Promise<number | undefined> {
    return this.opened.highestSequences.find(({ writer }) => writer === writerNumber)?.sequence;
  }

  async *list(kind?: number): AsyncGenerator<{ readonly ordinal: Ordinal; readonly kind: number }> {
    const query = kind === undefined ? {} : { kind: String(kind) };
    const params = { archiveId: this.#archiveId };
    const ended = this.#endedBy();
    const reply = await this.#client.call(storageRoutes.ordinals, { params, query, ...ended });
    const view = readStream(reply, ended.signal);
    let left = this.#mostRecords();
    for (let entry = await view.take(LISTED_BYTES); entry; entry = await view.take(LISTED_BYTES)) {
      if (left-- <= 0) throw cloudErrors.reply_invalid({ problem: 'more records than there can be' });
      const bytes = Buffer.from(entry.buffer, entry.byteOffset, LISTED_BYTES);
      yield { ordinal: bytes.readUIntLE(0, 6), kind: bytes[6]! };
    }
  }

  /** What ends a call besides its own failure: whoever made it, or the agent's end. */
  #endedBy(signal?: AbortSignal): { readonly signal?: AbortSignal } {
    const signals = [signal, this.#facts.signal].filter((each) => each !== undefined);
    return signals.length === 0 ? {} : { signal: AbortSignal.any(signals) };
  }

  /** How many entries a list can have: the server has no more ordinals, and was sent no more; one mended may be there twice. */
  #mostRecords(): number {
    const said = this.opened.highestSequences.reduce((sum, { sequence }) => sum + sequence + 1, 0);
    return Math.min(2 * (said + this.#sentAtMost), MOST_RECORDS);
  }

  /** Stops what is under way. */
  async close(): Promise<void> {
    this.#failure ??= { cause: undefined };
    this.#ended.abort(cloudErrors.session_ended());
  }

  async #send(sequence: number, fragment: Uint8Array): Promise<void> {
    const { clock = systemClock } = this.#facts;
    for (let attempt = 1; ; attempt++) {
      if (this.#failure) throw cloudErrors.session_ended({}, this.#failure.cause);
      try {
        return await this.#sendOnce(sequence, fragment);
      } catch (error) {
        if (attempt === RESEND.attempts || !isWorthResending(error, sequence)) throw error;
        await clock.sleep(retryDelayMs(RESEND, attempt, Math.random()), this.#ended.signal);
      }
    }
  }

  async #sendOnce(sequence: number, fragment: Uint8Array): Promise<void> {
    const { session } = this.opened;
    const { signal } = this.#facts;
    const reply = await this.#client.call(storageRoutes.append, {
      params: { archiveId: this.#archiveId },
      query: { session: String(session), sequence: String(sequence) },
      stream: fragment as Uint8Array<ArrayBuffer>,
      signal: signal ? AbortSignal.any([signal, this.#ended.signal]) : this.#ended.signal,
    });
    const claims = this.#openReceipt(reply.receipt);
    const fits =
      claims?.installationId === this.#client.enrollment.installationId &&
      claims.archiveId === this.#archiveId &&
      claims.session === session &&
      claims.fragment === sequence;
    if (!fits) throw cloudErrors.receipt_invalid({ sequence });
    this.#facts.onReceipt?.({ jws: reply.receipt, claims });
  }

  #openReceipt(jws: string): ReceiptClaims | undefined {
    const [head = '', payload = '', signature = ''] = jws.split('.');
    const signed = Buffer.from(`${head}.${payload}`);
    if (!verify(undefined, signed, this.#receiptKey, Buffer.from(signature, 'base64url'))) return undefined;
    return ReceiptClaims.safeParse(jsonOrNone(Buffer.from(payload, 'base64url'))).data;
  }
}

function jsonOrNone(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof CodedError && error.code === code;
}

/** Whether the same fragment, sent again, can be taken: its answer was lost, or one before it was. */
function isWorthResending(error: unknown, sequence: number): boolean {
  if (!(error instanceof CodedError)) return false;
  if (error.code === storageErrors.busy.code) return true;
  if (error.code === storageErrors.fragment_order.code) return Number(error.details['nextFragment']) <= sequence;
  return error.kind === 'unavailable';
}

/** Cuts a reply into the records it must be. */
export async function* recordsIn(reply: Response, signal?: AbortSignal): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const view = readStream(reply, signal);
  for (;;) {
    const head = await view.peek(RECORD_BYTES);
    if (!head) return;
    yield (await view.take(lengthOf(head)))!;
  }
}

function lengthOf(head: Uint8Array): number {
  try {
    return recordLengthOf(parseRecordHeader(head));
  } catch (error) {
    throw cloudErrors.reply_invalid({}, error);
  }
}

/** Ordinals as a read asks for them: 6 bytes each, little-endian. */
export function ordinalBytes(ordinals: readonly Ordinal[]): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.from(new ArrayBuffer(ordinals.length * 6));
  for (const [i, ordinal] of ordinals.entries()) bytes.writeUIntLE(ordinal, i * 6, 6);
  return bytes;
}
