/** Asks a person before something is done that not everybody would want. */
import { createInterface } from 'node:readline/promises';
import { defineErrors } from '@holdfast/base';
import type { Output } from './output.ts';

const confirmErrors = defineErrors('confirm', {
  not_given: ['conflict', 'It was not confirmed: nothing has changed'],
});

/** Returns once "yes" was typed, or came on standard input. @throws confirm.not_given */
export async function confirmed(question: string, output: Output): Promise<void> {
  output.note(`${question} Type yes, then press Enter:`);
  const lines = createInterface({ input: process.stdin, terminal: false });
  try {
    for await (const line of lines) {
      if (line.trim().toLowerCase() === 'yes') return;
      break;
    }
  } finally {
    lines.close();
    process.stdin.pause();
  }
  throw confirmErrors.not_given({ remedy: 'type yes, or add --yes' });
}
