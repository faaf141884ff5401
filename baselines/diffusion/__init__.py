"""What several diffusion models share: schedules, the process, samplers, guidance, noise, prompts as conditions."""
