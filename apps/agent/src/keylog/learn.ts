import type { CodedError } from '@holdfast/base';
import { keyLogErrors } from './errors.ts';
import type { Reading, RegisteredKey, SeenEscrowKeys, SeenLeaves } from './key-log-book.ts';
import { leafOf, type ReadLeaves } from './read-leaves.ts';

/** Number and SHA-256 (hex) of the document of escrow keys that a computer was given. */
export type GivenEscrowKeys = { readonly number: number; readonly sha256: string };

/** A computer as it enrolled. */
export type EnrolledDevice = {
  readonly deviceUid: string;
  readonly publicKey: string;
  readonly escrowKeys?: GivenEscrowKeys;
};

/** Who learns, and what it knows. */
export type Learner = {
  readonly device: EnrolledDevice;
  readonly subjects: readonly string[];
  /** The first key of this computer that leaves before these have. */
  readonly ownKey: RegisteredKey | undefined;
  /** What the leaves before these say of the escrow keys it was given. */
  readonly escrowKeys: SeenEscrowKeys | undefined;
  readonly nowMs: number;
};

/** A leaf of a day that is further ahead than this tells nothing. */
const DAY_MS = 86_400_000;

/** What new leaves say of this computer and of the log, and what is wrong with them. */
export function learn(
  { pages, fault }: Pick<ReadLeaves, 'pages' | 'fault'>,
  { device, subjects, ownKey, escrowKeys, nowMs }: Learner,
): Reading & { readonly faults: readonly CodedError[] } {
  const keys = [...(ownKey ? [ownKey] : []), ...keysIn(pages, device.deviceUid)];
  const seen = device.escrowKeys && judgeEscrowKeys(escrowKeys, pages, device.escrowKeys);
  const wrong = [fault, foreignKey(keys, device.publicKey), foreignEscrowKeys(pages, device.escrowKeys)];
  const faults = wrong.filter((one) => one !== undefined);
  return { subjects, day: newestDay(pages, nowMs + DAY_MS), ownKey: keys[0], escrowKeys: seen, faults };
}

function keysIn(pages: readonly SeenLeaves[], deviceUid: string): readonly RegisteredKey[] {
  return pages
    .flatMap(({ own }) => own)
    .flatMap(({ logIndex, text }) => {
      const leaf = leafOf(text);
      const isOurs = leaf?.kind === 'key_registered' && leaf.deviceUid === deviceUid;
      return isOurs ? [{ logIndex, publicKey: leaf.publicKey }] : [];
    });
}

/**
 * The key of this computer is registered once: any other of those that were is not its own.
 *
 * That it is registered at all is not expected: who enrolled before there was a key log has no such leaf.
 */
function foreignKey(registered: readonly RegisteredKey[], own: string): CodedError | undefined {
  const foreign = registered.find(({ publicKey }, place) => place > 0 || publicKey !== own);
  return foreign && keyLogErrors.foreign_key({ ...foreign });
}

/**
 * The escrow keys that this computer was given are in the log: their leaf came before the invitation. So a server that gave
 * it keys of its own has to say so to every computer of the tenant.
 */
function foreignEscrowKeys(pages: readonly SeenLeaves[], given: EnrolledDevice['escrowKeys']): CodedError | undefined {
  if (!given) return undefined;
  const said = pages.flatMap(({ own }) => own.flatMap(({ text }) => escrowKeysOf(text) ?? []));
  const other = said.find(({ number, sha256 }) => number === given.number && sha256 !== given.sha256);
  const isWhole = pages[0]?.before.size === 0;
  const isThere = said.some(({ number, sha256 }) => number === given.number && sha256 === given.sha256);
  if (!other && (isThere || !isWhole)) return undefined;
  return keyLogErrors.foreign_escrow_keys({ given: given.sha256, logged: other?.sha256 ?? null });
}

/** What all leaves up to a place say of the escrow keys that a computer was given: other ones of their number count for good. */
export function judgeEscrowKeys(
  before: SeenEscrowKeys | undefined,
  pages: readonly SeenLeaves[],
  given: GivenEscrowKeys,
): SeenEscrowKeys {
  const { sha256 } = given;
  const known = before?.sha256 === sha256 ? before.status : 'none';
  const said = pages.flatMap(({ own }) => own.flatMap(({ text }) => escrowKeysOf(text) ?? []));
  const sameNumber = said.filter(({ number }) => number === given.number);
  if (known === 'other' || sameNumber.some((each) => each.sha256 !== sha256)) return { sha256, status: 'other' };
  return { sha256, status: sameNumber.length > 0 ? 'logged' : known };
}

function escrowKeysOf(text: string): GivenEscrowKeys | undefined {
  const leaf = leafOf(text);
  return leaf?.kind === 'escrow_keys_set' ? leaf : undefined;
}

/** The newest day that a leaf over all heads names, up to an instant: one of days to come would hide that those cease. */
function newestDay(pages: readonly SeenLeaves[], untilMs: number): string | undefined {
  const last = new Date(untilMs).toISOString().slice(0, 10);
  const days = pages.flatMap(({ own }) => own.flatMap(({ text }) => dayOf(text) ?? []));
  return days
    .filter((day) => day <= last)
    .toSorted()
    .at(-1);
}

function dayOf(text: string): string | undefined {
  const leaf = leafOf(text);
  return leaf?.kind === 'daily_heads' ? leaf.day : undefined;
}
