import { readFileSync } from 'node:fs';
import type { OwnerNames } from '@holdfast/archive';

const rereadAfterMs = 60_000;

/**
 * Names of users and groups by number, from the machine's own files, read again at most once a minute.
 *
 * Not guaranteed: users of a directory service that has no line there are nameless; their numbers are kept all the same.
 */
export class OwnerDirectory {
  readonly #passwdPath: string;
  readonly #groupPath: string;
  #users = new Map<number, Uint8Array>();
  #groups = new Map<number, Uint8Array>();
  #readAtMs = Number.NEGATIVE_INFINITY;

  constructor(passwdPath = '/etc/passwd', groupPath = '/etc/group') {
    this.#passwdPath = passwdPath;
    this.#groupPath = groupPath;
  }

  namesOf(uid: number, gid: number): OwnerNames {
    const nowMs = performance.now();
    if (nowMs - this.#readAtMs > rereadAfterMs) {
      this.#users = readNumbers(this.#passwdPath);
      this.#groups = readNumbers(this.#groupPath);
      this.#readAtMs = nowMs;
    }
    const user = this.#users.get(uid);
    const group = this.#groups.get(gid);
    return { ...(user && { user }), ...(group && { group }) };
  }
}

/** passwd(5) and group(5) both have the name first and the number third. */
function readNumbers(path: string): Map<number, Uint8Array> {
  const numbers = new Map<number, Uint8Array>();
  for (const line of readLines(path)) {
    const [name, , number] = line.split(':');
    if (name && number && /^\d+$/.test(number))
      numbers.set(Number(number), new Uint8Array(Buffer.from(name, 'latin1')));
  }
  return numbers;
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'latin1').split('\n');
  } catch {
    // A machine without the file has no names to give.
    return [];
  }
}
