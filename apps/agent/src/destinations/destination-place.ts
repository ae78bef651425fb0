/** What the agent asks of a place that keeps the archive. A folder on a disk is one, the cloud another. */
import type { CommitName, Destination, Ordinal } from '@holdfast/archive';
import type { Clock, Random } from '@holdfast/base';
import type { DestinationConfig } from '../state/agent-database.ts';

/** An open session: the newest one wins, and an older one is refused from then on. */
export type DestinationSession = Destination & {
  /** The newest commit that is there when the session opens. */
  readonly head: CommitName | undefined;
  /** Number of the newest keyring there; 0 where there is none. */
  readonly keyringNumber: number;
  /** A new writer is taken only when the writer before it signed that it comes in. */
  readonly requiresIntroduction?: boolean;
  /** The session was in use when somebody else, with this device's keys, opened a newer one. */
  readonly isSuperseded?: boolean;
  /** Greatest sequence number that is there of a writer; undefined where it has none. */
  highestSequence(writerNumber: number): Promise<number | undefined>;
  /** Ordinals of the records that are there, of one kind or of all, in storage order. */
  list(kind?: number): AsyncIterable<{ readonly ordinal: Ordinal; readonly kind: number }>;
  /** @throws errors of kind `unavailable` where the place is no longer what the session was opened on */
  expectInPlace?(): Promise<void>;
  /**
   * Goes on behind this commit from now on, or from the beginning: those after it are a branch there, and stay. Left out
   * where the place does not do so. The session is to be opened anew afterwards.
   */
  leaveTail?(to: CommitName | undefined): Promise<void>;
  close(): Promise<void>;
};

/** What opening needs to know. */
export type OpenFacts = {
  readonly archiveId: Uint8Array;
  /** The newest commit that the device knows. */
  readonly known: CommitName | undefined;
  /** Header and keyrings: for a place that has to make room for a new archive first. */
  readonly keyRecords: readonly Uint8Array[];
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
};

/** A place that keeps the archive, while the agent runs. */
export type DestinationPlace = {
  readonly config: DestinationConfig;
  /**
   * Opens a session. @throws errors of kind `unavailable` while the place is away (it is tried again), any other
   * declared error where a person has to act, `devices.deauthorized` where this device may no longer write.
   */
  open(facts: OpenFacts): Promise<DestinationSession>;
};

/** Makes the place of a configuration. The cloud's is plugged in here. */
export type MakePlace = (config: DestinationConfig) => DestinationPlace;
