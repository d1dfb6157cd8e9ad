/**
 * Counts BLAKE3 under everything: `core` gets a hash that counts its calls. Whatever is to be counted must be
 * imported after this file, by `import()`: modules keep the hash that they were loaded with.
 */
import { registerHooks } from 'node:module';

const real = import.meta.resolve('../../src/core/blake3.ts');
const counting = `data:text/javascript,${encodeURIComponent(
  `import { hashBlake3 as real, IS_LITTLE_ENDIAN } from ${JSON.stringify(real)};
   export { IS_LITTLE_ENDIAN };
   export const calls = { count: 0 };
   export const hashBlake3 = (bytes) => { calls.count++; return real(bytes); };`,
)}`;

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === './blake3.ts' && context.parentURL?.endsWith('/core/hash.ts')
      ? { url: counting, shortCircuit: true }
      : next(specifier, context),
});

const { calls }: { calls: { count: number } } = await import(counting);

export async function hashesOf(act: () => unknown): Promise<number> {
  const before = calls.count;
  await act();
  return calls.count - before;
}

/** Of a cost that grows with `n` to it. */
export function exponentOf(costs: readonly (readonly [n: number, cost: number])[]): number {
  const [first, last] = [costs[0], costs.at(-1)];
  if (first === undefined || last === undefined) throw new Error('expected costs, got none');
  return Math.log(last[1] / first[1]) / Math.log(last[0] / first[0]);
}
