import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { InvalidArgumentError, type Command } from 'commander';
import { defineErrors } from '@holdfast/base';
import { environmentFor, findHome, homeToStart } from '../config.ts';
import { createOutput } from '../output.ts';

const tokenErrors = defineErrors('enrollment_token', {
  file_exists: ['conflict', 'There is a file of that name already'],
  file_not_written: ['unavailable', 'The token file could not be written'],
});

type Options = {
  readonly tenant: string;
  readonly out: string;
  readonly uses: number;
  readonly days: number;
  readonly json?: boolean;
};

/** `holdfast cloud enrollment-token`: a file that lets devices enrol. */
export function registerEnrollmentToken(cloud: Command): void {
  cloud
    .command('enrollment-token')
    .description('make a token that lets devices enrol, and write it to a file only you can read')
    .requiredOption('--tenant <address>', 'whose devices they will be')
    .requiredOption('--out <file>', 'file to make; - for standard output')
    .option('--uses <number>', 'how many devices it lets in', wholeNumber(100_000), 1)
    .option('--days <number>', 'how long it lasts', wholeNumber(365), 7)
    .action(async (options: Options) => {
      const { inviteDevices, operateCloud, readCloudConfig, silentLog } = await import('@holdfast/cloud');
      const config = readCloudConfig(environmentFor(findHome(process.cwd()) ?? homeToStart(process.cwd())));
      const { tenant: slug, uses, days, out } = options;
      // Made first: a token that cannot be handed over must not exist.
      const file = out === '-' ? undefined : createFile(path.resolve(out));
      try {
        const made = await operateCloud(config, { log: silentLog }, (operator) =>
          inviteDevices(operator, { slug, uses, days }),
        );
        const { enrollmentToken, ...facts } = made;
        const text = `${JSON.stringify(enrollmentToken, undefined, 2)}\n`;
        if (file === undefined) {
          process.stdout.write(text);
          return;
        }
        writeSync(file.fd, text);
        const last = made.expiresAt.slice(0, 10);
        const shown = `Wrote ${file.path}: for ${uses} device(s), until ${last}.\nOn the device: holdfast agent enroll ${enrollmentToken.url} --token-file FILE`;
        createOutput(options.json ?? false).result({ file: file.path, ...facts }, shown);
      } catch (error) {
        if (file) rmSync(file.path, { force: true });
        throw error;
      } finally {
        if (file) closeSync(file.fd);
      }
    });
}

function createFile(file: string): { readonly fd: number; readonly path: string } {
  try {
    return { fd: openSync(file, 'wx', 0o600), path: file };
  } catch (error) {
    const isThere = (error as NodeJS.ErrnoException).code === 'EEXIST';
    throw isThere ? tokenErrors.file_exists({ file }) : tokenErrors.file_not_written({ file }, error);
  }
}

function wholeNumber(most: number): (text: string) => number {
  return (text) => {
    const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (number >= 1 && number <= most) return number;
    throw new InvalidArgumentError(`It must be a number from 1 to ${most}.`);
  };
}
