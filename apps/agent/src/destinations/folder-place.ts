/** A destination in a folder of a disk or a share: several devices may use one folder, each has a folder of its own in it. */
import path from 'node:path';
import {
  type CommitName,
  type Disk,
  isDiskFull,
  LocalDestination,
  logErrors,
  nodeDisk,
  type Ordinal,
  readLockHost,
} from '@holdfast/archive';
import { CodedError } from '@holdfast/base';
import type { DestinationConfig } from '../state/agent-database.ts';
import type { DestinationPlace, DestinationSession, OpenFacts } from './destination-place.ts';
import { destinationErrors } from './errors.ts';

/** Where in a destination folder an archive lies: what `holdfast recover` is given. */
export function archiveFolderIn(folder: string, archiveId: Uint8Array): string {
  return path.join(folder, `holdfast-${Buffer.from(archiveId).toString('hex')}`);
}

/**
 * Makes the archive's folder in a destination folder, whose path has no links, when it is added. Later it is only opened:
 * where it is gone, the disk is another one or not mounted.
 *
 * @throws destinations.not_a_folder
 */
export async function prepareFolder(folder: string, archiveId: Uint8Array): Promise<void> {
  if (!path.isAbsolute(folder)) throw destinationErrors.not_a_folder({ field: 'folder', folder });
  try {
    // Others may know the name, and be able to write there or to put a link in the folder's own place.
    await realBelow(nodeDisk, folder).makeDirectory(archiveFolderIn(folder, archiveId));
  } catch (error) {
    throw destinationErrors.not_a_folder({ field: 'folder', folder, problem: (error as Error).message }, error);
  }
}

/** Names at and below a folder, and none elsewhere: whoever can rename it or a folder above it chooses what has its name. */
function realBelow(disk: Disk, folder: string): Disk {
  return disk.below?.(folder, 'real') ?? disk;
}

/** The place of a folder destination, whose path was without links when it was added. */
export function folderPlace(config: DestinationConfig, disk: Disk = nodeDisk): DestinationPlace {
  return { config, open: (facts) => openFolder(config, facts, disk) };
}

async function openFolder(
  { name, folder = '' }: DestinationConfig,
  facts: OpenFacts,
  disk: Disk,
): Promise<DestinationSession> {
  const { archiveId, clock, random, known } = facts;
  const dir = archiveFolderIn(folder, archiveId);
  try {
    await expectThere(disk, folder, dir);
    const local = await LocalDestination.open({
      dir,
      reach: 'real',
      disk,
      archiveId,
      clock,
      random,
      host: await readLockHost(),
    });
    const answer = await local.openSession(known).catch(async (error: unknown) => {
      // Its lock would keep everybody out, this agent included.
      await local.close().catch(() => undefined);
      throw error;
    });
    return new FolderSession(name, local, answer);
  } catch (error) {
    throw asAway(error, folder);
  }
}

/** A folder without the archive may be where a disk belongs, or have been emptied: only a person knows. */
async function expectThere(disk: Disk, folder: string, dir: string): Promise<void> {
  const isThere = await realBelow(disk, folder)
    .stat(folder)
    .catch((error: unknown) => {
      const isLink = error instanceof CodedError && error.code === logErrors.not_a_file.code;
      throw isLink ? destinationErrors.linked({ folder }, error) : error;
    });
  if (!isThere) throw destinationErrors.away({ folder });
  if (await realBelow(disk, dir).stat(dir)) return;
  // Everybody on the computer sees remedies; where an archive lies is for administrators.
  const again = 'holdfast destination remove NAME, then add it again';
  throw destinationErrors.away({ folder, remedy: `connect its disk; if what it held is gone for good: ${again}` });
}

class FolderSession implements DestinationSession {
  readonly name: string;
  readonly head: CommitName | undefined;
  readonly #local: LocalDestination;
  readonly #sessionEpoch: number;
  #nextFragment: number;
  #broken: { readonly cause: unknown } | undefined;

  constructor(
    name: string,
    local: LocalDestination,
    answer: { readonly sessionEpoch: number; readonly nextFragment: number; readonly head?: CommitName },
  ) {
    this.name = name;
    this.head = answer.head;
    this.#local = local;
    this.#sessionEpoch = answer.sessionEpoch;
    this.#nextFragment = answer.nextFragment;
  }

  get keyringNumber(): number {
    return this.#local.state.keyring?.number ?? 0;
  }

  async append(fragment: Uint8Array): Promise<void> {
    if (this.#broken) throw destinationErrors.interrupted({ destination: this.name }, this.#broken.cause);
    const sequence = this.#nextFragment++;
    try {
      const receipt = await this.#local.append(this.#sessionEpoch, sequence, fragment);
      if (receipt.status !== 'acknowledged') throw destinationErrors.interrupted({ destination: this.name });
    } catch (error) {
      // Later fragments follow one that is not there.
      this.#broken ??= { cause: error };
      throw asAway(error, this.name);
    }
  }

  async *read(ordinals: readonly Ordinal[], signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    for await (const outcome of this.#local.folder.read(ordinals)) {
      signal?.throwIfAborted();
      if (outcome.status === 'found') yield outcome.bytes;
    }
  }

  locate(ordinals: readonly Ordinal[]) {
    return this.#local.folder.locate(ordinals);
  }

  list(kind?: number): AsyncIterable<{ readonly ordinal: Ordinal; readonly kind: number }> {
    return this.#local.folder.list(kind);
  }

  async highestSequence(writerNumber: number): Promise<number | undefined> {
    return (await this.#local.folder.status()).highestSequences.get(writerNumber);
  }

  async expectInPlace(): Promise<void> {
    try {
      await this.#local.folder.expectInPlace();
    } catch (error) {
      throw asAway(error, this.name);
    }
  }

  async leaveTail(to: CommitName | undefined): Promise<void> {
    try {
      await this.#local.leaveTail(this.#sessionEpoch, to);
    } catch (error) {
      throw asAway(error, this.name);
    }
  }

  close(): Promise<void> {
    return this.#local.close();
  }
}

/** What the system says when a disk is full, gone or broken: the destination is away until it is not. */
function asAway(error: unknown, folder: string): unknown {
  const isMoved = error instanceof CodedError && causes(error).some(({ code }) => code === 'log.moved');
  if (isMoved) return destinationErrors.moved({ folder }, error);
  if (error instanceof CodedError) return error;
  if (isDiskFull(error)) return logErrors.disk_full({ folder }, error);
  const isSystemError = error instanceof Error && 'syscall' in error;
  return isSystemError ? destinationErrors.away({ folder, problem: error.message }, error) : error;
}

function causes(error: CodedError): readonly CodedError[] {
  return error.cause instanceof CodedError ? [error, ...causes(error.cause)] : [error];
}
