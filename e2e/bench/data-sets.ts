/** The files that are measured, made from a seed: the same seed gives the same bytes. */
import { createCipheriv, createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';

/** A folder of files of one character. */
export type DataSet = {
  readonly name: string;
  readonly folder: string;
  readonly files: number;
  readonly bytes: number;
};

const zeros = Buffer.alloc(1024 * 1024);

/** An endless stream of bytes that no compressor shortens. */
function stream(seed: string): (length: number) => Buffer {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  return (length) => cipher.update(length === zeros.length ? zeros : Buffer.alloc(length));
}

/** Files of 256 MiB of incompressible bytes. */
export function makeIncompressible(folder: string, seed: string, totalMiB: number): DataSet {
  mkdirSync(folder, { recursive: true });
  const next = stream(`${seed} incompressible`);
  const fileMiB = Math.min(256, totalMiB);
  const files = Math.ceil(totalMiB / fileMiB);
  for (let at = 0; at < files; at++) {
    const fd = openSync(path.join(folder, `file-${at}.bin`), 'w');
    for (let written = 0; written < fileMiB; written++) writeSync(fd, next(1024 * 1024));
    closeSync(fd);
  }
  return { name: 'incompressible', folder, files, bytes: files * fileMiB * 1024 * 1024 };
}

/** Small text files in folders of about ten, 100 bytes to 60 KiB, half of them below 5 KiB: words in lines. */
export function makeSmallFiles(folder: string, seed: string, files: number): DataSet {
  const next = stream(`${seed} small`);
  const words = Array.from({ length: 4000 }, () => word(next(12)));
  let bytes = 0;
  for (let at = 0; at < files; at++) {
    const directory = path.join(folder, `part-${Math.floor(at / 1000)}`, `unit-${Math.floor(at / 10)}`);
    if (at % 10 === 0) mkdirSync(directory, { recursive: true });
    const text = textOf(words, next);
    const fd = openSync(path.join(directory, `source-${at}.txt`), 'w');
    bytes += writeSync(fd, text);
    closeSync(fd);
  }
  return { name: 'small', folder, files, bytes };
}

function word(random: Buffer): string {
  const letters = 'etaoinshrdlucmfwypvbgkqjxz';
  const length = 2 + (random[0]! % 9);
  return Array.from({ length }, (_, at) => letters[Math.floor((random[at + 1]! / 256) ** 2 * 26)]).join('');
}

function textOf(words: readonly string[], next: (length: number) => Buffer): string {
  const unit = next(4).readUInt32LE() / 2 ** 32;
  // From 100 bytes to 60 KiB, evenly by order of magnitude.
  const wanted = Math.floor(100 * (61_440 / 100) ** unit);
  const picks = next(wanted);
  const lines: string[] = [];
  let line = '';
  for (let length = 0, at = 0; length < wanted; at += 2) {
    // Few words are frequent, as in any text.
    const place = Math.floor((picks.readUInt16LE(at % (wanted - 1)) / 65_536) ** 3 * words.length);
    line += `${words[place]!}${at % 14 === 0 ? '(' : ' '}`;
    if (line.length > 70) {
      lines.push(line);
      length += line.length + 1;
      line = at % 6 === 0 ? '  ' : '';
    }
  }
  return `${lines.join('\n')}\n`.slice(0, wanted);
}
