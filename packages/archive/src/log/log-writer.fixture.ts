import { createHash } from 'node:crypto';
import { createSigningKey, signMessage, type SigningKey } from '../crypto/ed25519.node.ts';
import { encodeCommitOpen } from '../format/commit.ts';
import { draftRevision, encodeHeader } from '../format/header.ts';
import { encodeKeyring, type Writer } from '../format/keyring.ts';
import { encodeLive } from '../format/live.ts';
import { type Ordinal, ordinalOf } from '../format/ordinal.ts';
import { encodeRecord, RecordKind, signedMessage, splitRecord } from '../format/record.ts';
import { seededBytes, storedRecord } from './fixtures.ts';
import type { CommitName } from './sessions.ts';

/** SHA-256 in hex. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Makes the records of an archive, truly signed; what is sealed is noise. */
export class LogWriter {
  /** Zeros while the header is made. */
  readonly archiveId: Uint8Array = new Uint8Array(16);
  readonly header: Uint8Array;
  readonly writers: Writer[];
  readonly keys: SigningKey[] = [createSigningKey(seededBytes(100, 32))];
  keyring: { number: number; sha256: Uint8Array } = { number: 0, sha256: new Uint8Array(32) };

  constructor() {
    const { publicKey } = this.keys[0]!;
    this.writers = [{ number: 0, publicKey, firstCommit: 1, origin: 'first' }];
    const open = encodeHeader({
      formatVersion: 1,
      draft: draftRevision,
      salt: seededBytes(5, 32),
      suite: 1,
      writerKey: publicKey,
    });
    this.header = this.#sign(RecordKind.header, 0, open);
    this.archiveId = createHash('sha256').update(this.header).digest().subarray(0, 16);
  }

  /** The next keyring; `added` brings in a writer from that commit on. */
  makeKeyring(added?: { firstCommit: number }): Uint8Array {
    if (added) {
      const key = createSigningKey(seededBytes(100 + this.keys.length, 32));
      this.keys.push(key);
      const { publicKey } = key;
      this.writers.push({
        number: this.writers.length,
        publicKey,
        firstCommit: added.firstCommit,
        origin: 'state_lost',
      });
    }
    const number = this.keyring.number + 1;
    const open = encodeKeyring({ number, previous: this.keyring.sha256, slots: [], writers: this.writers });
    const writer = this.writers.length - 1;
    const ordinal = number === 1 ? 1 : ordinalOf(writer, added ? 0 : 1000 + number);
    const record = this.#sign(RecordKind.keyring, ordinal, open);
    this.keyring = { number, sha256: createHash('sha256').update(record).digest() };
    return record;
  }

  makeCommit(
    ordinal: Ordinal,
    after: CommitName | undefined,
    more: { number?: number; checkpoint?: number; key?: SigningKey } = {},
  ): Uint8Array {
    const number = more.number ?? (after?.number ?? 0) + 1;
    const previous = after ? Uint8Array.fromHex(after.sha256) : new Uint8Array(32);
    const open = encodeCommitOpen({
      number,
      previous,
      checkpoint: more.checkpoint ?? 0,
      readFeatures: [],
      writeFeatures: [],
    });
    return this.#sign(RecordKind.commit, ordinal, open, more.key);
  }

  makeLive(ordinal: Ordinal, number: number, commit: CommitName): Uint8Array {
    const named = { number: commit.number, sha256: Uint8Array.fromHex(commit.sha256) };
    const open = encodeLive({ number, part: 1, parts: 1, commit: named, ranges: [] });
    return this.#sign(RecordKind.live, ordinal, open);
  }

  makeBlock(ordinal: Ordinal, sealedBytes: number): Uint8Array {
    return storedRecord(ordinal, sealedBytes);
  }

  #sign(kind: number, ordinal: Ordinal, open: Uint8Array, key?: SigningKey): Uint8Array {
    const isSealed = kind === RecordKind.keyring || kind === RecordKind.commit;
    const content = {
      kind,
      epoch: 0,
      ordinal,
      open,
      signature: new Uint8Array(64),
      ...(isSealed ? { nonce: seededBytes(ordinal, 24), sealed: seededBytes(ordinal + 1, 600) } : {}),
    };
    const message = signedMessage(this.archiveId, splitRecord(encodeRecord(content)));
    const signer = key ?? this.keys[Math.floor(ordinal / 2 ** 32)]!;
    return encodeRecord({ ...content, signature: signMessage(signer, message) });
  }
}

/** A commit's name. */
export function nameOf(number: number, record: Uint8Array): CommitName {
  return { number, sha256: sha256Of(record) };
}
