import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { defineErrors } from '@holdfast/base';
import { ask } from '../agent-socket.ts';
import { createOutput } from '../output.ts';

const recoveryErrors = defineErrors('recovery', {
  not_typed: ['invalid', 'The recovery code was not typed back: nothing has changed'],
});

/** `holdfast key show-recovery`: a new code, shown once and typed back. */
export function registerKeyShowRecovery(key: Command): void {
  key
    .command('show-recovery')
    .description(
      'make a new recovery code of 24 words; from when it was typed back an older one, or a key file, opens only what was written before',
    )
    .action(async (options: { readonly json?: boolean }) => {
      const output = createOutput(options.json ?? false);
      const { code } = await ask<{ code: string }>('key.show-recovery');
      // In JSON too, the code comes first: a program keeps it and sends it back.
      if (output.json) process.stdout.write(`${JSON.stringify({ code })}\n`);
      else process.stdout.write(`${codeText(code)}\n\n`);
      output.note('Write it down and keep it apart from this computer. Whoever has it reads the backups.');
      output.note('It is shown once. Type the 24 words, then press Enter:');
      const typed = await readWords();
      const result = await ask<{ destinations: number }>('key.confirm-recovery', { code: typed });
      const where = result.destinations === 0 ? 'It reaches the destinations when they are there.' : '';
      output.result(
        result,
        `The recovery code opens this archive now; an older one opens only what was written before. ${where}`.trimEnd(),
      );
    });
}

function codeText(code: string): string {
  const words = code.split(' ');
  const lines = Array.from({ length: 6 }, (_, line) =>
    words
      .slice(line * 4, line * 4 + 4)
      .map((word, place) => `${String(line * 4 + place + 1).padStart(2)} ${word.padEnd(10)}`)
      .join(''),
  );
  return lines.map((line) => line.trimEnd()).join('\n');
}

async function readWords(): Promise<string> {
  const lines = createInterface({ input: process.stdin, terminal: false });
  let typed = '';
  for await (const line of lines) {
    typed = `${typed} ${line}`.trim();
    if (typed.split(/[\s\d.,:;)]+/u).filter((word) => word !== '').length >= 24) break;
  }
  lines.close();
  process.stdin.pause();
  if (typed === '') throw recoveryErrors.not_typed({ remedy: 'run it again, and type the words that it shows' });
  return typed;
}
