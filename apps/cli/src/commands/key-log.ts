import type { Command } from 'commander';
import { defineErrors } from '@holdfast/base';
import { formatHeadFile } from '@holdfast/trust';
import { absolutePath, ask } from '../agent-socket.ts';
import { commandErrors } from '../errors.ts';
import { timeText } from '../figures.ts';
import { createOutput } from '../output.ts';
import { checkHeads } from './check-heads.ts';
import { headText, keyLogLines, leafText, type KeyLogStanding, type Leaf } from './key-log-lines.ts';
import { writeNewFile } from './new-file.ts';

const headErrors = defineErrors('key_log_head', {
  exists: ['conflict', 'There is a file of that name already'],
  not_written: ['unavailable', 'The head file could not be written'],
});

type KeyLog = KeyLogStanding & { readonly leaves: number; readonly checkedAt?: string };
type Head = {
  readonly origin: string;
  readonly verifier: string;
  readonly note: string;
  readonly treeSize: number;
  readonly verifiedAt: string;
  readonly faults: number;
};
type Options = { readonly checkHeads?: readonly string[]; readonly writeHead?: string; readonly json?: boolean };

/** `holdfast key log`: what the key log says of this computer, and whether it is the one that others see. */
export function registerKeyLog(key: Command): void {
  key
    .command('log')
    .description('what was done with the keys of this computer and its archive, as the key log of its tenant says')
    .option(
      '--write-head <file>',
      'write the head that was checked last to a new file, for comparing; - for standard output',
    )
    .option(
      '--check-heads <files...>',
      'compare such files of several computers, and signed heads that witnesses have: are they of one log? Asks no server and no agent',
    )
    .action(async (options: Options) => {
      const { checkHeads: files, writeHead: file } = options;
      if (files && file !== undefined) {
        const remedy = 'write the head first, then check it with the others';
        throw commandErrors.invalid({ reason: '--write-head and --check-heads are two things to do', remedy });
      }
      const output = createOutput(options.json ?? false);
      if (files) return output.result(...(await checkHeads(files)));
      if (file !== undefined) return output.result(...(await writeHead(file)));
      return output.result(...(await showLog()));
    });
}

async function showLog(): Promise<[object, string]> {
  const own: Leaf[] = [];
  const evidence: unknown[] = [];
  const onItem = (item: Readonly<Record<string, unknown>>) => {
    if (item['leaf'] === undefined) evidence.push(item['evidence']);
    else own.push(item['leaf'] as Leaf);
  };
  const log = await ask<KeyLog>('key.log', {}, { onItem });
  const lines: string[] = own.map(leafText);
  const checked = log.checkedAt === undefined ? 'no head was checked yet' : `checked until ${timeText(log.checkedAt)}`;
  lines.push(`${log.leaves} leaves in the log of the tenant, ${own.length} about this computer; ${checked}`);
  lines.push(...keyLogLines(log));
  return [{ ...log, own, evidence }, lines.join('\n')];
}

async function writeHead(file: string): Promise<[object, string]> {
  const leaves: Uint8Array[] = [];
  const onItem = ({ hashes }: Readonly<Record<string, unknown>>) => {
    const bytes = Buffer.from(String(hashes), 'base64');
    for (let at = 0; at < bytes.length; at += 32) leaves.push(bytes.subarray(at, at + 32));
  };
  const { origin, verifier, note, treeSize, verifiedAt, faults } = await ask<Head>('key.log-head', {}, { onItem });
  const text = formatHeadFile({ origin, verifier, note, verifiedAt, leaves });
  if (file === '-') return [{ head: text.trimEnd(), treeSize, faults }, text.trimEnd()];
  const written = absolutePath(file);
  writeNewFile(written, text, headErrors);
  return [{ file: written, treeSize, verifiedAt, faults }, headText({ file: written, treeSize, faults })];
}
