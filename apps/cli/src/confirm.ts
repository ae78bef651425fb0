import { createInterface } from 'node:readline/promises';

/** Asks a person at the terminal; false where there is none to ask, or the answer is not yes. */
export async function confirm(question: string, input: NodeJS.ReadStream = process.stdin): Promise<boolean> {
  if (!input.isTTY) return false;
  const lines = createInterface({ input, output: process.stderr });
  try {
    const answer = await lines.question(`${question} [y/N] `);
    return /^\s*y(es)?\s*$/i.test(answer);
  } finally {
    lines.close();
  }
}
