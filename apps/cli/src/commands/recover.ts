import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { CodedError, defineErrors, systemClock } from '@holdfast/base';
import { absolutePath } from '../agent-socket.ts';
import { bytesText } from '../figures.ts';
import { createOutput } from '../output.ts';
import { createProgress } from '../progress.ts';
import { readPassword } from '../read-secret.ts';

type Options = {
  readonly key?: string;
  readonly password?: boolean;
  readonly customKey?: string;
  readonly readKeys?: string;
  readonly to: string;
  readonly at?: string;
  readonly path?: readonly string[];
  readonly setuid?: boolean;
  readonly unproven?: boolean;
  readonly keyring?: string;
  readonly json?: boolean;
};

const recoverErrors = defineErrors('recover', {
  no_key_file: ['not_found', 'The key file cannot be read'],
  several_ways: ['invalid', 'Several ways to open the archive are named'],
  several: ['invalid', 'There are several archives in the folder'],
  no_archive: ['not_found', 'There is no archive in the folder'],
  incomplete: ['corrupt', 'Not everything could be recovered'],
  unproven: ['corrupt', 'What came back is not proven to be everything up to the newest state'],
});

/** `holdfast recover`: from an archive's files and a key, without any server. */
export function registerRecover(program: Command): void {
  program
    .command('recover')
    .description(
      "restore from an archive's files with what opens it (recovery code, key file, released keys, password, custom key): no server, no agent, no network",
    )
    .argument(
      '<dir>',
      'folder of the archive, or one above it: a destination folder, or HOLDFAST_HOME/blobs of a server',
    )
    .option(
      '--key <file>',
      'key file (key export); without it the 24 words of the recovery code are read from standard input',
    )
    .option('--password', 'with the archive key password: it is asked for, or read as one line of standard input')
    .option('--custom-key <file>', 'with the custom key in this file')
    .option('--read-keys <file>', 'with the keys of a release (key release take): only what they name is read')
    .requiredOption('--to <out>', 'an empty folder, or one that does not exist yet')
    .option('--at <time>', 'as it was then: 2026-03-01, "2026-03-01 14:00", "2 days ago", "yesterday 14:00"')
    .option('--path <path...>', 'only these paths, as they were on the computer')
    .option('--setuid', 'give setuid bits and security attributes back')
    .option('--unproven', 'also take what cannot be proven to belong to the newest state')
    .option(
      '--keyring <sha256>',
      'read the state that ends in this keyring, one of several that the report names; the beginning of its hash is enough',
    )
    .action(async (dir: string, options: Options) => {
      const { recover, reportToJson, reportToText, RecoverError } = await import('@holdfast/recover');
      const output = createOutput(options.json ?? false);
      const progress = createProgress('recover', { json: output.json });
      const at = await timeOf(options.at, output);
      const folder = archiveFolder(absolutePath(dir));
      const onProgress = ({ counts, segments }: Progress) =>
        progress.show({ doneBytes: counts?.bytes ?? 0, detail: `${counts?.files ?? 0} files, ${segments} segments` });
      const secret = await readSecret(options, output);
      const request = { folder, secret, outDir: absolutePath(options.to), ...(at && { at }), onProgress };
      const report = await recover({ ...request, ...wishesOf(options) })
        .catch((error: unknown) => {
          if (!(error instanceof RecoverError)) throw error;
          const { code, kind, message, details } = error;
          throw new CodedError({ code, kind, message, details: { folder, ...details } }, { cause: error });
        })
        .finally(() => progress.end());
      output.result(
        reportToJson(report) as object,
        `${reportToText(report)}\n${bytesText(report.counts.bytes)} recovered`,
      );
      expectWhole(report);
    });
}

type Progress = {
  readonly segments: number;
  readonly counts: { readonly bytes: number; readonly files: number } | undefined;
};

/** What else is asked for. */
function wishesOf({ path: paths, setuid, unproven, keyring }: Options) {
  return {
    ...(paths && { paths }),
    ...(setuid && { setuid }),
    ...(unproven && { unproven }),
    ...(keyring !== undefined && { keyring }),
  };
}

/** @throws recover.incomplete, recover.unproven */
function expectWhole(report: {
  readonly complete: boolean;
  readonly proven: boolean;
  readonly counts: { readonly lostFiles: number };
}): void {
  if (!report.complete) {
    const remedy = 'the lines LOST say what is missing and why; another copy of the archive may have it';
    throw recoverErrors.incomplete({ lostFiles: report.counts.lostFiles, remedy });
  }
  if (!report.proven) throw recoverErrors.unproven({ remedy: 'the lines NOT PROVEN say what is missing and why' });
}

const mostDepth = 3;

/** A destination folder holds an archive per computer, a server's one per computer below each tenant: the only one is meant. */
function archiveFolder(dir: string): string {
  const found = archivesIn(dir, mostDepth);
  if (found.length > 1) throw recoverErrors.several({ folders: found, remedy: 'name one of them' });
  if (found[0] !== undefined) return found[0];
  const remedy = 'name the folder that has "segments" in it, or the destination folder it lies in';
  throw recoverErrors.no_archive({ folder: dir, remedy });
}

function archivesIn(dir: string, depth: number): readonly string[] {
  if (existsSync(path.join(dir, 'segments'))) return [dir];
  if (depth === 0) return [];
  return foldersIn(dir).flatMap((name) => archivesIn(path.join(dir, name), depth - 1));
}

function foldersIn(dir: string): readonly string[] {
  try {
    const entries = readdirSync(dir, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch {
    // Not there, no folder, or not to be read: there is no archive to be had from it.
    return [];
  }
}

/** What opens the archive: by one way alone. */
async function readSecret({ key, password, customKey, readKeys }: Options, output: { note(text: string): void }) {
  if ([key, password, customKey, readKeys].filter((way) => way !== undefined).length > 1) {
    throw recoverErrors.several_ways({ remedy: 'name one of --key, --read-keys, --password and --custom-key' });
  }
  if (key !== undefined) return { keyFile: readKeyFile(key) };
  if (customKey !== undefined) return { customKey: readKeyFile(customKey) };
  if (readKeys !== undefined) return { readKeys: readKeyFile(readKeys) };
  if (password) return { password: await readPassword({ ask: 'Archive key password: ' }) };
  output.note('Type the 24 words of the recovery code, then press Enter:');
  return { recoveryCode: await readWords() };
}

function readKeyFile(file: string): string {
  try {
    return readFileSync(path.resolve(file), 'utf8');
  } catch (error) {
    throw recoverErrors.no_key_file({ file, problem: (error as Error).message }, error);
  }
}

async function readWords(): Promise<string> {
  const lines = createInterface({ input: process.stdin, terminal: false });
  let words: string[] = [];
  for await (const line of lines) {
    words = [...words, ...line.split(/[\s\d.,:;)]+/u).filter((word) => word !== '')];
    if (words.length >= 24) break;
  }
  lines.close();
  process.stdin.pause();
  return words.join(' ');
}

async function timeOf(text: string | undefined, output: { note(text: string): void }): Promise<Date | undefined> {
  if (text === undefined) return undefined;
  // Loaded for this alone: a recovery needs nothing of the agent.
  const { parseTimeSpan } = await import('@holdfast/agent');
  const now = systemClock.now();
  const { fromMs, untilMs } = parseTimeSpan(text, now);
  // Here the clock may be anything: it refuses nobody a recovery.
  if (fromMs > now) output.note(`By this computer's clock, "${text}" has not come yet.`);
  return new Date(untilMs);
}
