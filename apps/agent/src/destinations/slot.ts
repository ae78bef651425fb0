/** One destination as the agent has it: its session, how it stands, and when it is tried again. */
import { type Clock, CodedError, isRetryable, type Random, retryDelayMs } from '@holdfast/base';
import { storageErrors } from '@holdfast/contract';
import type { DestinationPlace, DestinationSession } from './destination-place.ts';
import { destinationErrors } from './errors.ts';

/** How a destination stands with the device. */
export type DestinationStanding =
  | { readonly status: 'closed' }
  /** Open, and at the device's head. */
  | { readonly status: 'ready' }
  /** Records are being copied to it from another one. */
  | { readonly status: 'catching_up'; readonly copiedBytes: number }
  /** Not to be had; tried again by itself. */
  | { readonly status: 'away'; readonly error: CodedError }
  /** A person has to act. */
  | { readonly status: 'failed'; readonly error: CodedError };

/** A destination and what is known of it now; changed by `Destinations` alone. */
export type Slot = {
  readonly place: DestinationPlace;
  session: DestinationSession | undefined;
  standing: DestinationStanding;
  tries: number;
  retryAtMs: number;
  /** Somebody else opened a session while ours was in use. */
  wasSuperseded: boolean;
};

const mayBeGone: readonly string[] = ['log.locked', 'log.fenced', storageErrors.escrow_broken.code];
const retryPolicy = { attempts: Number.POSITIVE_INFINITY, firstDelayMs: 2000, maxDelayMs: 300_000 };

/** A destination that was not opened yet. */
export function newSlot(place: DestinationPlace): Slot {
  return { place, session: undefined, standing: { status: 'closed' }, tries: 0, retryAtMs: 0, wasSuperseded: false };
}

/** The number of the newest commit there; 0 where there is none. */
export function headOf({ session }: Slot): number {
  return session?.head?.number ?? 0;
}

/**
 * Who takes the next writer's keyring earlier: where every writer has to be introduced, the first to come is the one; of
 * the others, what has the newest keyring is to be gone on from.
 */
export function rankOf({ session }: Slot): number {
  return session?.requiresIntroduction ? Number.MAX_SAFE_INTEGER : (session?.keyringNumber ?? 0);
}

/** Closes what is open there; a session that another one took the place of is remembered as such. */
export async function closeSlot(slot: Slot): Promise<void> {
  const { session } = slot;
  slot.wasSuperseded ||= session?.isSuperseded === true;
  slot.session = undefined;
  slot.standing = { status: 'closed' };
  await session?.close().catch(() => undefined);
}

/** Closes it after a failure, to be tried again by itself or to be seen to by a person. @throws what is not declared */
export async function failSlot(slot: Slot, error: unknown, ports: { clock: Clock; random: Random }): Promise<void> {
  const { session } = slot;
  await closeSlot(slot);
  if (!(error instanceof CodedError)) {
    slot.standing = { status: 'failed', error: destinationErrors.interrupted({}, error) };
    throw error;
  }
  const unit = new DataView(ports.random(4).buffer).getUint32(0) / 2 ** 32;
  slot.retryAtMs = ports.clock.monotonic() + retryDelayMs(retryPolicy, ++slot.tries, unit);
  // A lock that another machine holds, or a fence, may be gone the next time, as what a new keyring mends; who opened a newer session may have written nothing.
  const isAway = isRetryable(error) || session?.isSuperseded || mayBeGone.includes(error.code);
  slot.standing = { status: isAway ? 'away' : 'failed', error };
}
