create table if not exists "task_executions" (
  root_task_id text,
  root_execution_id text,
  parent_task_id text,
  parent_execution_id text,
  index_in_parent_children integer,
  is_only_child_of_parent boolean,
  is_finalize_of_parent boolean,
  task_id text not null,
  execution_id text not null primary key,
  is_sleeping_task boolean not null,
  sleeping_task_unique_id text,
  retry_options jsonb not null,
  sleep_ms_before_run bigint not null,
  timeout_ms bigint not null,
  are_children_sequential boolean not null,
  input jsonb not null,
  executor_id text,
  status text not null,
  is_finished boolean not null,
  run_output jsonb,
  output jsonb,
  error jsonb,
  retry_attempts integer not null,
  start_at bigint not null,
  started_at bigint,
  expires_at bigint,
  waiting_for_children_started_at bigint,
  waiting_for_finalize_started_at bigint,
  finished_at bigint,
  children jsonb,
  active_children_count integer not null,
  on_children_finished_processing_status text not null,
  on_children_finished_processing_expires_at bigint,
  on_children_finished_processing_finished_at bigint,
  finalize jsonb,
  close_status text not null,
  close_expires_at bigint,
  closed_at bigint,
  needs_promise_cancellation boolean not null,
  created_at bigint not null,
  updated_at bigint not null,
  constraint "task_executions_status_check" check (status in ('ready', 'running', 'failed', 'timed_out', 'waiting_for_children', 'waiting_for_finalize', 'finalize_failed', 'completed', 'cancelled')),
  constraint "task_executions_on_children_finished_processing_status_check" check (on_children_finished_processing_status in ('idle', 'processing', 'processed')),
  constraint "task_executions_close_status_check" check (close_status in ('idle', 'ready', 'closing', 'closed'))
);
create unique index if not exists "task_executions_sleeping_task_unique_id" on "task_executions" (sleeping_task_unique_id) where sleeping_task_unique_id is not null;
create index if not exists "task_executions_ready" on "task_executions" (start_at) where status = 'ready';
create index if not exists "task_executions_children_finished" on "task_executions" (updated_at) where status = 'waiting_for_children' and on_children_finished_processing_status = 'idle' and active_children_count = 0;
create index if not exists "task_executions_close_ready" on "task_executions" (updated_at) where close_status = 'ready';
create index if not exists "task_executions_running" on "task_executions" (is_sleeping_task, expires_at) where status = 'running';
create index if not exists "task_executions_ocfp_expires_at" on "task_executions" (on_children_finished_processing_expires_at) where on_children_finished_processing_expires_at is not null;
create index if not exists "task_executions_close_expires_at" on "task_executions" (close_expires_at) where close_expires_at is not null;
create index if not exists "task_executions_cancellation" on "task_executions" (executor_id, updated_at) where needs_promise_cancellation = true;
create index if not exists "task_executions_parent" on "task_executions" (parent_execution_id) where parent_execution_id is not null;
create index if not exists "task_executions_finished" on "task_executions" (updated_at) where is_finished = true and close_status = 'idle';
create or replace function "task_executions_strict_transitions"() returns trigger language plpgsql as $$
begin
  raise exception 'this execution is finished: nothing may change its status'
    using errcode = 'check_violation', schema = tg_table_schema,
      table = tg_table_name, column = 'status', constraint = tg_name,
      detail = format('%s is %s and would become %s', old.execution_id, old.status, new.status);
end $$;
create or replace trigger "task_executions_strict_transitions" before update of status on "task_executions"
for each row when (old.status in ('failed', 'timed_out', 'finalize_failed', 'completed', 'cancelled') and new.status <> old.status)
execute function "task_executions_strict_transitions"();
create table if not exists "task_executions_migrations" (
  number integer primary key,
  name text not null,
  applied_at bigint not null,
  version text not null
);
insert into "task_executions_migrations" (number, name, applied_at, version)
  values (1, 'table_and_indexes', cast(floor(extract(epoch from clock_timestamp()) * 1000) as bigint), '0.1.0')
  on conflict do nothing;
