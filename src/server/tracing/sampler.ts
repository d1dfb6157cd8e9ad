/** Which traces are recorded, by the two variables that OpenTelemetry names for it. */
import type { Sampler } from '@opentelemetry/sdk-trace';
import { excerpt, RegistryError } from '../../core/error.ts';
import type { OpenTelemetry } from './packages.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const PARENT_BASED = 'parentbased_';

/** All of them by default, unless who sent the request decided otherwise. Throws `invalid_request`. */
export function samplerOf(sdk: OpenTelemetry['sdk'], env: Environment): Sampler {
  const name = env.OTEL_TRACES_SAMPLER || 'parentbased_always_on';
  const isParentBased = name.startsWith(PARENT_BASED);
  const root = rootSampler(sdk, {
    name: isParentBased ? name.slice(PARENT_BASED.length) : name,
    argument: env.OTEL_TRACES_SAMPLER_ARG || '1',
  });
  return isParentBased ? new sdk.ParentBasedSampler({ root }) : root;
}

function rootSampler(
  sdk: OpenTelemetry['sdk'],
  { name, argument }: { readonly name: string; readonly argument: string },
): Sampler {
  if (name === 'always_on') return new sdk.AlwaysOnSampler();
  if (name === 'always_off') return new sdk.AlwaysOffSampler();
  if (name !== 'traceidratio')
    throw invalid(
      'OTEL_TRACES_SAMPLER: expected always_on, always_off or traceidratio, each also after parentbased_',
      name,
    );
  const ratio = Number(argument);
  if (!(ratio >= 0 && ratio <= 1))
    throw invalid('OTEL_TRACES_SAMPLER_ARG: expected a number from 0 to 1', argument);
  return new sdk.TraceIdRatioBasedSampler(ratio);
}

function invalid(expected: string, got: string): RegistryError {
  return new RegistryError('invalid_request', `${expected}, got ${excerpt(got)}`);
}
