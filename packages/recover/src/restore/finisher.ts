import { chmodSync, closeSync, fchmodSync, fchownSync, lstatSync, lutimesSync } from 'node:fs';
import { systemCode } from '../errors.ts';
import type { Findings } from '../archive/findings.ts';
import { pathBytes, type Path } from '../archive/walk.ts';
import type { Instant } from '../format/bytes.ts';
import type { Xattr } from '../format/row.ts';
import { runProgram } from './programs.ts';
import { type OpenDirectory, pathForChild, pathIn } from './target.ts';

/** What is still to be set on something that was made. `name` is `.` for a directory itself, which is closed then. */
export type Finish = {
  readonly directory: OpenDirectory;
  readonly name: Buffer;
  readonly path: Path;
  readonly xattrs: readonly Xattr[];
  /** Permission bits to set after the attributes; undefined where they are set already or there are none. */
  readonly mode: number | undefined;
  readonly modifiedAt: Instant | undefined;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly isDirectory: boolean;
};

const BATCH = 1_000;
const BATCH_DIRECTORIES = 64;

/**
 * Sets attributes, times and the modes of directories, many at a time.
 *
 * Node has no call for extended attributes, and its times are doubles, too coarse for nanoseconds: `setfattr` and
 * `touch` do both, started once a batch. What they could not do is found by looking again, and reported.
 * A directory gets its time and mode last, when everything in it is done.
 */
export class Finisher {
  readonly #findings: Findings;
  #waiting: Finish[] = [];
  #directories = 0;

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  async add(finish: Finish): Promise<void> {
    this.#waiting.push(finish);
    if (finish.isDirectory) this.#directories += 1;
    if (this.#waiting.length >= BATCH || this.#directories >= BATCH_DIRECTORIES) await this.flush();
  }

  /** Does all that waits. */
  async flush(): Promise<void> {
    const batch = this.#waiting;
    this.#waiting = [];
    this.#directories = 0;
    await this.#setXattrs(batch.filter((finish) => finish.xattrs.length > 0));
    for (const finish of batch) if (!finish.isDirectory) this.#setMode(finish);
    await this.#setTimes(batch.filter((finish) => finish.modifiedAt !== undefined));
    for (const finish of batch) if (finish.isDirectory) this.#closeDirectory(finish);
  }

  async #setXattrs(batch: readonly Finish[]): Promise<void> {
    if (batch.length === 0) return;
    const byPath = new Map(
      batch.map((finish) => [pathForChild(finish.directory, finish.name).toString('latin1'), finish]),
    );
    const outcome = await runProgram('setfattr', ['-h', '--restore=-'], Buffer.concat(batch.map(dumpXattrs)));
    if (!outcome.started) {
      for (const finish of batch)
        this.#note(finish, 'xattrs.not_set', 'extended attributes were not set: there is no setfattr program here');
      return;
    }
    for (const line of outcome.errors.split('\n')) {
      const [, path = '', reason = ''] = /^setfattr: (.*): ([^:]*)$/s.exec(line) ?? [];
      const finish = byPath.get(path);
      if (finish !== undefined) this.#note(finish, 'xattrs.not_set', `an extended attribute was not set: ${reason}`);
      else if (line !== '') this.#findings.add({ severity: 'notice', code: 'xattrs.not_set', message: line });
    }
  }

  #setMode(finish: Finish): void {
    if (finish.mode === undefined) return;
    try {
      chmodSync(pathIn(finish.directory, finish.name), finish.mode);
    } catch (error) {
      this.#note(finish, 'mode.not_set', `its mode was not set: ${systemCode(error)}`);
    }
  }

  async #setTimes(batch: readonly Finish[]): Promise<void> {
    const coarse = batch.filter((finish) => {
      this.#setCoarseTime(finish);
      return !hasTime(finish);
    });
    if (coarse.length === 0) return;
    const input = coarse.flatMap((finish) => [
      Buffer.from(`@${touchTime(finish.modifiedAt!)}\0`),
      pathForChild(finish.directory, finish.name),
      Buffer.alloc(1),
    ]);
    await runProgram('xargs', ['-0', '-n', '2', '-P', '2', 'touch', '-c', '-h', '-m', '-d'], Buffer.concat(input));
    for (const finish of coarse) {
      if (!hasTime(finish)) this.#note(finish, 'time.rounded', 'its modification time could not be set exactly');
    }
  }

  #setCoarseTime(finish: Finish): void {
    const { seconds, nanoseconds } = finish.modifiedAt!;
    try {
      // As text: Node takes a negative number for "now", and a negative text for what it is.
      lutimesSync(pathIn(finish.directory, finish.name), Date.now() / 1000, String(seconds + nanoseconds / 1e9));
    } catch {
      return; // touch may still do it; if not, hasTime finds out
    }
  }

  #closeDirectory(finish: Finish): void {
    const { fd } = finish.directory;
    try {
      if (finish.owner !== undefined) fchownSync(fd, finish.owner.uid, finish.owner.gid);
      if (finish.mode !== undefined) fchmodSync(fd, finish.mode);
    } catch (error) {
      this.#note(finish, 'mode.not_set', `its owner or mode was not set: ${systemCode(error)}`);
    } finally {
      closeSync(fd);
    }
  }

  #note(finish: Finish, code: string, message: string): void {
    this.#findings.add({ severity: 'notice', code, message, path: pathBytes(finish.path) });
  }
}

/** `touch -d` reads the digits behind the point as they stand: −0.5 s is `-0.5`, and seconds −1 with 500,000,000 ns is that. */
function touchTime(at: Instant): string {
  const digits = (nanoseconds: number) => String(nanoseconds).padStart(9, '0');
  if (at.seconds >= 0 || at.nanoseconds === 0) return `${at.seconds}.${digits(at.nanoseconds)}`;
  return `-${-at.seconds - 1}.${digits(1e9 - at.nanoseconds)}`;
}

function hasTime(finish: Finish): boolean {
  const { seconds, nanoseconds } = finish.modifiedAt!;
  try {
    const { mtimeNs } = lstatSync(pathIn(finish.directory, finish.name), { bigint: true });
    return mtimeNs === BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
  } catch {
    return false;
  }
}

/** The form `setfattr --restore` reads; every byte that could mean something there goes as octal. */
function dumpXattrs(finish: Finish): Buffer {
  const path = pathForChild(finish.directory, finish.name);
  const lines = finish.xattrs.map(
    ({ name, value }) => `${quoted(name)}=${value.length === 0 ? '""' : `0s${value.toString('base64')}`}\n`,
  );
  return Buffer.from(`# file: ${quoted(path)}\n${lines.join('')}\n`, 'latin1');
}

function quoted(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replace(/[^A-Za-z0-9._/-]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`);
}
