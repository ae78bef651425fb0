import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import type { Command } from 'commander';
import { defineErrors } from '@holdfast/base';
import { absolutePath, ask } from '../agent-socket.ts';
import { createOutput } from '../output.ts';

const exportErrors = defineErrors('key_export', {
  exists: ['conflict', 'There is a file of that name already'],
  not_written: ['unavailable', 'The key file could not be written'],
});

/** `holdfast key export`: the key file that `recover` takes. */
export function registerKeyExport(key: Command): void {
  key
    .command('export')
    .description('write a key file that opens the archive; whoever has it reads the backups')
    .requiredOption('--out <file>', 'a new file, readable by its owner alone; - for standard output')
    .action(async (options: { readonly out: string; readonly json?: boolean }) => {
      const { keyFile } = await ask<{ keyFile: string }>('key.export');
      const output = createOutput(options.json ?? false);
      if (options.out === '-') return output.result({ keyFile }, keyFile.trimEnd());
      const file = absolutePath(options.out);
      writeNew(file, keyFile);
      const text = `The key file is ${file}. Keep it apart from this computer: whoever has it reads the backups.`;
      return output.result({ file }, text);
    });
}

function writeNew(file: string, content: string): void {
  try {
    const fd = openSync(file, 'wx', 0o600);
    try {
      writeSync(fd, content);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const isThere = (error as NodeJS.ErrnoException).code === 'EEXIST';
    if (isThere) throw exportErrors.exists({ file, remedy: 'choose another name' }, error);
    throw exportErrors.not_written({ file, problem: (error as Error).message }, error);
  }
}
