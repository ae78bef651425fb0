import type { DestinationSession } from './destination-place.ts';

/** What connecting did. */
export type Connected = {
  /** Sessions at the device's head. */
  readonly sessions: readonly DestinationSession[];
  /** The device goes on as another writer: everything is to be looked at anew. */
  readonly isTakenOver: boolean;
  /** Some became ready that were not. */
  readonly isAnyNew: boolean;
  /** What sets have where is another thing than the archive says. */
  readonly areBindingsChanged: boolean;
  /** Files are to be read again, since no destination that is there has what they hold. */
  readonly isReadAgain: boolean;
};

/** What is remembered of destinations while the agent does not run. */
export type DestinationMemory = {
  /** Number of the newest commit that a destination is known to have acknowledged; 0 where there is none. */
  acknowledged(destinationId: number): number;
  /** Writes down that a destination has less than it acknowledged. What is gone is sent again. */
  noteLoss(destinationId: number, loss: { readonly acknowledged: number; readonly found: number }): void;
};
