import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { CodedError, defineErrors } from '@holdfast/base';
import { bytesText } from '../figures.ts';
import { createOutput } from '../output.ts';
import { createProgress } from '../progress.ts';

type Options = {
  readonly key?: string;
  readonly to: string;
  readonly at?: string;
  readonly path?: readonly string[];
  readonly setuid?: boolean;
  readonly unproven?: boolean;
  readonly json?: boolean;
};

const recoverErrors = defineErrors('recover', {
  no_key_file: ['not_found', 'The key file cannot be read'],
  several: ['invalid', 'There are several archives in the folder'],
  incomplete: ['corrupt', 'Not everything could be recovered'],
  unproven: ['corrupt', 'What came back is not proven to be everything up to the newest state'],
  time: ['invalid', 'The time is not understood'],
});

/** `holdfast recover`: from an archive's files and a key, without any server. */
export function registerRecover(program: Command): void {
  program
    .command('recover')
    .description("restore from an archive's files with a key file or recovery code: no server, no agent, no network")
    .argument('<dir>', 'folder of the archive, or the destination folder that it is in')
    .option(
      '--key <file>',
      'key file (key export); without it the 24 words of the recovery code are read from standard input',
    )
    .requiredOption('--to <out>', 'an empty folder, or one that does not exist yet')
    .option('--at <time>', 'as it was then: an ISO 8601 time such as 2026-03-01T14:00:00Z')
    .option('--path <path...>', 'only these paths, as they were on the computer')
    .option('--setuid', 'give setuid bits and security attributes back')
    .option('--unproven', 'also take what cannot be proven to belong to the newest state')
    .action(async (dir: string, options: Options) => {
      const { recover, reportToJson, reportToText, RecoverError } = await import('@holdfast/recover');
      const output = createOutput(options.json ?? false);
      const progress = createProgress('recover', { json: output.json });
      const at = timeOf(options.at);
      const request = {
        folder: archiveFolder(path.resolve(dir)),
        secret: await readSecret(options.key, output),
        outDir: path.resolve(options.to),
        ...(at && { at }),
        ...(options.path && { paths: options.path }),
        ...(options.setuid && { setuid: true }),
        ...(options.unproven && { unproven: true }),
        onProgress: ({
          counts,
          segments,
        }: {
          segments: number;
          counts: { bytes: number; files: number } | undefined;
        }) =>
          progress.show({ doneBytes: counts?.bytes ?? 0, detail: `${counts?.files ?? 0} files, ${segments} segments` }),
      };
      const report = await recover(request)
        .catch((error: unknown) => {
          if (!(error instanceof RecoverError)) throw error;
          const { code, kind, message, details } = error;
          throw new CodedError({ code, kind, message, details }, { cause: error });
        })
        .finally(() => progress.end());
      output.result(
        reportToJson(report) as object,
        `${reportToText(report)}\n${bytesText(report.counts.bytes)} recovered`,
      );
      if (!report.complete) throw recoverErrors.incomplete({ lostFiles: report.counts.lostFiles });
      if (!report.proven) throw recoverErrors.unproven({ remedy: 'the lines NOT PROVEN say what is missing and why' });
    });
}

/** A destination folder holds an archive per computer: the only one in it is meant. */
function archiveFolder(dir: string): string {
  if (existsSync(path.join(dir, 'segments')) || !existsSync(dir)) return dir;
  const inside = readdirSync(dir).filter((name) => existsSync(path.join(dir, name, 'segments')));
  if (inside.length > 1) throw recoverErrors.several({ folders: inside, remedy: 'name one of them' });
  return inside[0] === undefined ? dir : path.join(dir, inside[0]);
}

async function readSecret(keyFile: string | undefined, output: { note(text: string): void }) {
  if (keyFile !== undefined) {
    try {
      return { keyFile: readFileSync(path.resolve(keyFile), 'utf8') };
    } catch (error) {
      throw recoverErrors.no_key_file({ file: keyFile, problem: (error as Error).message }, error);
    }
  }
  output.note('Type the 24 words of the recovery code, then press Enter:');
  const lines = createInterface({ input: process.stdin, terminal: false });
  let words: string[] = [];
  for await (const line of lines) {
    words = [...words, ...line.split(/[\s\d.,:;)]+/u).filter((word) => word !== '')];
    if (words.length >= 24) break;
  }
  lines.close();
  process.stdin.pause();
  return { recoveryCode: words.join(' ') };
}

function timeOf(text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const at = new Date(text);
  if (Number.isNaN(at.getTime()))
    throw recoverErrors.time({ field: 'at', value: text, remedy: 'write 2026-03-01T14:00:00Z' });
  return at;
}
