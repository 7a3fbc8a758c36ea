"""The desired policies, for what was observed; whether the sidecar may change one, the guards of the plan decide; pure."""
