import { hash } from 'node:crypto';

import { createSigningKey, type SigningKey, signMessage } from '../crypto/ed25519.node.ts';
import { zeroHash } from '../format/extent.ts';
import { encodeKeyring, encodeRing, introductionMessage, type KeyringSlot, type Writer } from '../format/keyring.ts';
import { deriveKeyRing } from '../format/keys.node.ts';
import { ordinalOf } from '../format/ordinal.ts';
import { sealRecord } from '../format/seal.node.ts';
import { type ArchiveMaker, type MadeRecord, newestOf } from './archive-maker.ts';
import { emptyCommit } from './forge.ts';
import { golden } from './golden-rows.ts';
import { type MadeSlot, wrapMadeSlot } from './made-slots.ts';

/** What somebody knew of an archive at some time: its epochs, and the public keys of its slots. */
export type Knowledge = {
  readonly epochs: ArchiveMaker['epochs'];
  readonly slots: readonly MadeSlot[];
  readonly writers: readonly Writer[];
};

/** A keyring somebody made; `named` is what a commit says of it. */
export type ForgedKeyring = {
  readonly record: MadeRecord;
  readonly named: { readonly number: number; readonly sha256: Uint8Array };
};

/** What is known to whoever opens the newest ring, or holds the device, right now. */
export function knowledgeOf({ epochs, slots, writers }: ArchiveMaker): Knowledge {
  const listed = writers.map(({ key, ...writer }): Writer => ({ ...writer, publicKey: key.publicKey }));
  return { epochs: [...epochs], slots, writers: listed };
}

/**
 * A life of an archive beside the rightful one: of somebody who knows what was known once, and signs as one of its
 * writers, whose seed he stole, or as one that he brings in himself. With access to the store he puts there what he likes.
 */
export class ForgedLife {
  writers: readonly Writer[];
  epochs: ArchiveMaker['epochs'];
  slots: readonly MadeSlot[];
  readonly #maker: ArchiveMaker;
  #key: SigningKey;
  #sequence = 7_000;

  private constructor(maker: ArchiveMaker, key: SigningKey, { writers, epochs, slots }: Knowledge) {
    this.#maker = maker;
    this.#key = key;
    [this.writers, this.epochs, this.slots] = [writers, epochs, slots];
  }

  /** With the seed of the newest writer there was. */
  static ofEndedWriter(maker: ArchiveMaker, known: Knowledge): ForgedLife {
    return new ForgedLife(maker, maker.writers[known.writers.length - 1]!.key, known);
  }

  /** Without any seed: as a writer of his own, from a commit on, behind those that `listed` has. */
  static ofStranger(maker: ArchiveMaker, known: Knowledge, firstCommit: number): ForgedLife {
    const life = new ForgedLife(maker, createSigningKey(maker.random(32)), known);
    life.#list(firstCommit, 'recovery_code');
    return life;
  }

  /** Brings in a writer of his own, introduced by the one whose seed he has. */
  introduce(firstCommit: number): this {
    const before = this.#key;
    this.#key = createSigningKey(this.#maker.random(32));
    this.#list(firstCommit, 'state_lost', before);
    return this;
  }

  /** Begins an epoch that nobody else knows. */
  beginEpoch(): this {
    this.epochs = [...this.epochs, { number: this.epochs.length, key: this.#maker.random(32), madeAt: golden(70) }];
    return this;
  }

  /** Puts a key of his own in the place of the newest epoch's. */
  swapKey(): this {
    const { number, madeAt } = newestOf(this.epochs);
    this.epochs = [...this.epochs.slice(0, -1), { number, key: this.#maker.random(32), madeAt }];
    return this;
  }

  /** A keyring behind another, which the secrets of all slots that he knows open. */
  keyring(
    number: number,
    previous: Uint8Array = zeroHash,
    options: { readonly more?: readonly KeyringSlot[]; readonly epoch?: number } = {},
  ): ForgedKeyring {
    const { archiveId, random } = this.#maker;
    const ringKey = random(32);
    const slots = this.slots.map((slot) =>
      wrapMadeSlot(slot, { archiveId, number, ringKey }, { madeAt: golden(70), random }),
    );
    const open = encodeKeyring({ number, previous, slots: [...(options.more ?? []), ...slots], writers: this.writers });
    const raw = encodeRing({ epochs: this.epochs.map((epoch) => ({ ...epoch, suite: 1 })), slotKeys: [] });
    const record = this.#seal({ kind: 'keyring', open, raw }, ringKey, options.epoch);
    return { record, named: { number, sha256: hash('sha256', record.bytes, 'buffer') } };
  }

  /** A commit behind another, which names a keyring and has the next number. */
  commit(after: { readonly number: number; readonly sha256: Uint8Array }, named: ForgedKeyring['named']): MadeRecord {
    return this.#seal(emptyCommit(after, named, golden(90)));
  }

  #list(firstCommit: number, origin: Writer['origin'], before?: SigningKey): void {
    const number = newestOf(this.writers).number + 1;
    const bare = { number, publicKey: this.#key.publicKey, firstCommit, origin };
    const message = introductionMessage(this.#maker.archiveId, bare);
    this.writers = [...this.writers, { ...bare, ...(before && { introduction: signMessage(before, message) }) }];
  }

  #seal(
    content: { readonly kind: 'keyring' | 'commit'; readonly open: Uint8Array; readonly raw: Uint8Array },
    ringKey?: Uint8Array,
    epoch = newestOf(this.epochs).number,
  ): MadeRecord {
    const { archiveId, random } = this.#maker;
    const ordinal = ordinalOf(newestOf(this.writers).number, this.#sequence++);
    const sign = (message: Uint8Array) => signMessage(this.#key, message);
    const keys = { archiveId, ring: deriveKeyRing(archiveId, this.epochs), sign, ...(ringKey && { ringKey }) };
    // Every record of a kind that is sealed takes its nonce from the keys of its epoch.
    const ring = keys.ring.has(epoch) ? keys.ring : new Map([...keys.ring, [epoch, keys.ring.get(0)!]]);
    return {
      kind: content.kind,
      ordinal,
      bytes: sealRecord({ ...content, epoch, ordinal }, { ...keys, ring }, random),
    };
  }
}
