//! Names of topics that brokers use themselves and that more than one reader has to know (`TopicValidator`).

/// Where delayed messages wait; queue `n` holds level `n + 1`.
pub const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";
/// Where half messages wait for their commit or rollback, 4.3.0 and later; queue 0.
pub const TRANS_HALF_TOPIC: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
/// Marks of half messages that are done with, 4.3.0 and later; queue 0.
pub const TRANS_OP_HALF_TOPIC: &str = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
/// Where timed messages wait, 5.0.0 and later; queue 0.
pub const TIMER_TOPIC: &str = "rmq_sys_wheel_timer";
/// Prefix of the topic with check points and acknowledgements of POP, 5.0.0 and later; the cluster's name follows.
pub const REVIVE_TOPIC_PREFIX: &str = "rmq_sys_REVIVE_LOG_";
